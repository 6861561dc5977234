"""Randomness as a function of position: seeds from (seed, epoch, batch, rank), not from what ran before."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def mix_seed(*parts: int | str) -> int:
    """A 63-bit seed from numbers and words; equal parts give equal seeds on every machine."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def seed_everything(*parts: int | str) -> None:
    """Seed Python's, numpy's and torch's global generators (of every device) from ``parts``."""
    seed = mix_seed(*parts)
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    _seed_torch(seed)


def _seed_torch(seed: int) -> None:
    """Like ``torch.manual_seed``, cheap enough for every batch.

    Torch's own walks the call stack, and keeps it, for each device that is not in use yet.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
    for name in ("mps", "xpu"):
        device = getattr(torch, name, None)
        if device is not None and device.is_available():
            device.manual_seed(seed)
