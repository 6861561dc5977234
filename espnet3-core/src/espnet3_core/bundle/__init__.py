"""Bundles: a trained model as a plain folder of data, packed, loaded and published."""
