"""Writing a training checkpoint straight to its file.

Lightning writes one into memory, copies it, puts it into the folder for temporary files and moves it from
there: three times the memory, and a second disk that may be small. :class:`Checkpointing` has a temporary
name and the renaming itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO


class DirectCheckpointIO(TorchCheckpointIO):
    """``torch.save`` to the path that is asked for.

    The stream is Python's own: torch's tells of a full disk without the system's error number.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint; the folder exists."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        with open(path, "wb") as stream:
            torch.save(checkpoint, stream)


def write_directly(strategy: Any) -> None:
    """Let a strategy write its checkpoints so, where it has Lightning's ordinary way of writing them."""
    with suppress(NotImplementedError):  # a strategy that shards its checkpoints
        if type(strategy.checkpoint_io) is TorchCheckpointIO:
            strategy.checkpoint_io = DirectCheckpointIO()
