"""The plugin ``demo``: the verb ``espnet3 demo``, and folders for hosts of pages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import CommandSpec


@hookimpl
def espnet3_commands() -> Iterable[CommandSpec]:
    """``espnet3 demo``."""
    return (
        CommandSpec(
            name="demo",
            run="espnet3_demo.command:run",
            arguments="espnet3_demo.arguments:arguments",
            summary="try a packed model in a browser",
        ),
    )


@hookimpl
def espnet3_write_demo(context: Any, directory: Path) -> bool:
    """A folder for a Hugging Face Space."""
    from espnet3_demo.space import write_space

    write_space(context.config("demo"), context.experiment.bundle, directory, recipe=context.recipe.directory)
    return True
