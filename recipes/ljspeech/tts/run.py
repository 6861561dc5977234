"""Run this recipe from its own folder; ``espnet3 run`` is the same with more options."""

from espnet3_core.cli.recipe_main import main

if __name__ == "__main__":
    main(__file__)
