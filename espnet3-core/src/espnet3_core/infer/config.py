"""Options of core's executors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class InProcessConfig:
    """Decode in the process that runs the stage."""


@dataclass(kw_only=True)
class ProcessesConfig:
    """Decode in several processes of this machine."""

    workers: int = 2
    """Processes; each builds the model once."""
    threads: int | None = None
    """CPU threads of each; None shares the machine's cores out evenly."""
    attempts: int = 2
    """How often a shard is tried whose process died, before it is recorded as failed."""
