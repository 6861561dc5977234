"""Encoders for synthesis."""
