"""What encoders return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from espnet3_core.errors import UserError
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


def check_intermediate(asked: Sequence[int], count: int) -> None:
    """Whether an encoder of ``count`` blocks has the intermediate layers that are asked for.

    Raises:
        UserError: It has not; the last block's output is no intermediate one.
    """
    if any(not 0 < number < count for number in asked):
        raise UserError(
            f"encoder: intermediate layers {list(asked)} of {count} blocks",
            hint=f"choose numbers from 1 to {count - 1}" if count > 1 else "it has none",
        )
