"""Devices, arithmetic and memory in inference."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError
from espnet3_core.infer.executors import WORKER
from espnet3_core.protocols import Batch

if TYPE_CHECKING:
    import torch


def pick_device(wanted: str) -> torch.device:
    """The device that a configuration asks for; workers share several GPUs out among themselves.

    Raises:
        UserError: There is no such device.
    """
    import torch

    count = torch.cuda.device_count() if wanted == "auto" or wanted.startswith("cuda") else 0
    if wanted == "auto":
        wanted = "cuda" if count else "cpu"
    kind, _, number = wanted.partition(":")
    if kind == "cuda" and (not number or number.isdecimal()):
        index = int(number or int(os.environ.get(WORKER, "0")) % max(1, count))
        if index >= count:
            raise UserError(
                f"device {wanted}: this machine has {count} CUDA devices", hint="choose cpu, or auto"
            )
        return torch.device("cuda", index)
    try:
        return torch.device(wanted)
    except RuntimeError as error:
        raise UserError(f"device {wanted!r}: there is none", hint="auto, cpu, cuda or cuda:1") from error


@contextmanager
def arithmetic(device: torch.device, precision: str) -> Iterator[None]:
    """No gradients, and the forward pass in a precision (``fp32``, ``bf16``, ``fp16``)."""
    import torch

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    with torch.inference_mode(), torch.autocast(device.type, dtype, enabled=precision != "fp32"):
        yield


@contextmanager
def seeded(seed: int, ids: Sequence[str]) -> Iterator[None]:
    """Draw random numbers from the seed and the utterances, so that their order does not matter."""
    import torch

    torch.manual_seed(seed * 2**32 + zlib.crc32("\n".join(ids).encode()))
    yield


def decoded_alone(*parts: Any) -> bool:
    """Whether models or searches, or modules in them, declare that utterances of a batch change each other.

    They do so by an attribute ``batch_invariant = False``: see :class:`espnet3_core.protocols.Model`.
    """
    found = [module for part in parts for module in (part, *getattr(part, "modules", tuple)())]
    return not all(getattr(module, "batch_invariant", True) for module in found)


def to_device(batch: Mapping[str, Any], device: torch.device) -> Batch:
    """A batch whose tensors are on a device."""
    import torch

    return {
        key: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for key, value in batch.items()
    }
