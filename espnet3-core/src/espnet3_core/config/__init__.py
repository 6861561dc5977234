"""Recipes' YAML: composed by Hydra, checked against dataclasses, every value with its place."""
