"""The plugin ``onnx``: the verb ``export``."""

from __future__ import annotations

from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import CommandSpec


@hookimpl
def espnet3_commands() -> tuple[CommandSpec, ...]:
    """``espnet3 export``."""
    return (
        CommandSpec(
            name="export",
            run="espnet3_onnx.command:run",
            arguments="espnet3_onnx.command:arguments",
            summary="write a bundle as ONNX, to run it without torch",
        ),
    )
