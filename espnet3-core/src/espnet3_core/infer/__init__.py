"""Inference: executors, the decoder that works in them, and results on disk."""
