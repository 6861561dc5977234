"""Randomness as a function of names: the same arguments give the same numbers in any process and order."""

from __future__ import annotations

import hashlib

import numpy as np


def stable_seed(*names: object) -> int:
    """A 63-bit number from names and numbers, the same in every process."""
    text = "\0".join(map(str, names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


def generator_for(*names: object) -> np.random.Generator:
    """A generator seeded by names: ``generator_for(seed, epoch, utterance_id)``."""
    return np.random.Generator(np.random.PCG64(stable_seed(*names)))
