"""The plugin `core`."""
