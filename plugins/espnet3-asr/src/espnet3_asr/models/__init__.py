"""Trainable recognisers, each a folder with its ``config`` and ``model``, and the encoder side they share."""
