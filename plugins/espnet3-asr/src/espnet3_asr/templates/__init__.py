"""Templates of ``espnet3 new recipe``."""
