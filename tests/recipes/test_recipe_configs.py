"""Every configuration of every recipe passes ``espnet3 check``, which opens neither audio nor corpus."""

from pathlib import Path

import pytest
from espnet3_core.config.check import check_folder
from espnet3_core.recipe.recipe import Recipe

RECIPES = Path(__file__).parents[2] / "recipes"
FOLDERS = sorted(file.parent for file in RECIPES.glob("*/*/recipe.yaml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: "/".join(folder.parts[-2:]))
def test_configurations_are_right(folder):
    recipe = Recipe.load(folder)
    stems = {role: recipe.stems(role) for role in ("training", "inference", "metrics", "publication")}
    assert all(stems.values())
    checked = check_folder(folder, stems)
    assert checked.findings == ()
    assert len(checked.readings) >= sum(len(names) for names in stems.values())
