"""Feature normalization."""
