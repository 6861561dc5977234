"""The plugin ``serve``: the verb ``espnet3 serve``."""

from __future__ import annotations

from collections.abc import Iterable

from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import CommandSpec


@hookimpl
def espnet3_commands() -> Iterable[CommandSpec]:
    """``espnet3 serve``."""
    return (
        CommandSpec(
            name="serve",
            run="espnet3_serve.command:run",
            arguments="espnet3_serve.arguments:arguments",
            summary="serve packed models over HTTP, as the OpenAI audio API does",
        ),
    )
