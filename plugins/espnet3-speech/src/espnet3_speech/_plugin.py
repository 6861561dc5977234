"""The plugin `speech`."""
