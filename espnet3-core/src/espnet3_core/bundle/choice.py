"""Which bundle a verb of the command line uses when it is not told."""

from __future__ import annotations

import os
from pathlib import Path

from espnet3_core.errors import UserError


def choose_bundle(chosen: str | None, variable: str) -> str:
    """The model: as chosen, from the environment, or the only one in the working directory's experiments.

    Args:
        chosen: Folder, archive or address; None where the user has not said.
        variable: Environment variable that may hold one.

    Raises:
        UserError: There is none, or more than one.
    """
    name = chosen or os.environ.get(variable)
    if name:
        return name
    found = sorted(path.parent for path in Path().glob("exp/*/bundle/manifest.json"))
    if len(found) == 1:
        return str(found[0])
    if found:
        raise UserError(
            f"there are {len(found)} models here: {', '.join(map(str, found))}",
            hint=f"choose one: --model {found[0]}",
        )
    raise UserError(
        "no model was chosen, and there is no exp/*/bundle here",
        hint=f"--model BUNDLE or ${variable}; `espnet3 run RECIPE --stages pack_model` makes one",
    )
