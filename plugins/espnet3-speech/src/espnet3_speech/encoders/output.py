"""What encoders return."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class EncoderOutput(NamedTuple):
    """Hidden vectors of a batch.

    Attributes:
        features: ``(batch, frames, size)``, zero in padded frames.
        lengths: ``(batch,)`` valid frames.
        intermediate: By number of blocks passed, ``(batch, frames, size)`` after normalization.
    """

    features: Tensor
    lengths: Tensor
    intermediate: dict[int, Tensor]
