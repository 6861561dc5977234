"""For authors of plugins: new packages from templates, checks of one, recipes made into one."""
