"""Spectrograms to audio."""
