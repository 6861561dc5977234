"""Memory: telling that there is none left, giving back what failed work held, keeping what steps need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Options of ``mallopt`` (malloc.h of the GNU C library)."""


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
    elif (trim := _of_the_c_library("malloc_trim")) is not None:
        trim(0)


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is GNU's.

    By default, the memory of a large tensor goes back to the system when it is freed, and the next tensor is
    new memory, whose pages the system clears one by one: on the CPU that is a sixth of a training step.
    Steps need about the same memory, so the process grows little larger than in its largest one.
    """
    if (mallopt := _of_the_c_library("mallopt")) is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)


def _of_the_c_library(name: str) -> Any:
    """A function of the C library that this process runs on; None where it has none of this name."""
    import ctypes

    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None
