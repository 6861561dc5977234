"""Running out of memory: telling it from other errors, and giving back what the failed work held."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that the memory of a device or of the machine did not suffice."""
    import torch

    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        words in text for words in ("out of memory", "can't allocate memory", "cudnn_status_alloc_failed")
    )


def free_memory(device: torch.device) -> None:
    """Give back what the failed batch held; call it when the exception is no longer handled."""
    import gc

    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
