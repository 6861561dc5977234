"""Recipes and experiments: which stages there are, whether they are up to date, and running them."""
