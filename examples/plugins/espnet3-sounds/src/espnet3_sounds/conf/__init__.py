"""Config groups."""
