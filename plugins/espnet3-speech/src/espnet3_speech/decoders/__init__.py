"""Autoregressive decoders over tokens."""
