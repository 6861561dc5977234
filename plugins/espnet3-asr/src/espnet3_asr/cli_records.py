"""Verbs of the command line."""

from __future__ import annotations

from espnet3_core.specs import CommandSpec

COMMANDS = (
    CommandSpec(
        name="asr",
        run="espnet3_asr.transcribe.command:run",
        arguments="espnet3_asr.transcribe.arguments:arguments",
        summary="transcribe audio files with a packed model",
    ),
)
