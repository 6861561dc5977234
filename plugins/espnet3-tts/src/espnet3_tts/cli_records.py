"""Verbs of the command line."""

from __future__ import annotations

from espnet3_core.specs import CommandSpec

COMMANDS = (
    CommandSpec(
        name="tts",
        run="espnet3_tts.say.command:run",
        arguments="espnet3_tts.say.arguments:arguments",
        summary="speak text with a packed model",
    ),
)
