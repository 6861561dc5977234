"""Other toolkits' weights."""
