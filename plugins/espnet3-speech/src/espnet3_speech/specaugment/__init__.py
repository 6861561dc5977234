"""Masking and warping of features during training."""
