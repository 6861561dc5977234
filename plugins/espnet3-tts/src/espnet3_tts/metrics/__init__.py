"""Metrics of synthetic speech."""
