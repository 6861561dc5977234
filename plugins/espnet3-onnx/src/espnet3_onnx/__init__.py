"""Bundles as ONNX graphs."""
