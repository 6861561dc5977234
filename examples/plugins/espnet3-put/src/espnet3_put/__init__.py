"""Publishes bundles to a server with HTTP PUT, as an example of a plugin."""
