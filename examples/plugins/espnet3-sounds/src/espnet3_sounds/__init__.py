"""A whole task, audio classification, as an example of a plugin."""
