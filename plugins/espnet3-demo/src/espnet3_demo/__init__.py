"""Pages to try packed models in a browser."""
