"""Encoder output as decoders read it step by step, shared by all hypotheses of an utterance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """Keys and values of each block, once per utterance, and which utterance each hypothesis listens to.

    Hypotheses of one utterance are queries of one attention call, so a beam does not copy the memory.

    Attributes:
        keys_values: Per block ``(2, utterances, heads, frames, dim)``.
        mask: ``(utterances, 1, 1, frames)`` bool, True in valid frames.
        rows: ``(hypotheses,)`` utterance of each hypothesis.
        width: Largest number of hypotheses of one utterance.
        slots: ``(hypotheses,)`` place of each hypothesis in a table of ``utterances * width``; None when
            they fill it in order.
    """

    keys_values: tuple[Tensor, ...]
    mask: Tensor
    rows: Tensor
    width: int = 1
    slots: Tensor | None = None

    def reorder(self, index: Tensor) -> Memory:
        """Memory of the hypotheses ``index`` (repeated, dropped, in any order)."""
        rows = self.rows[index]
        utterances = self.mask.shape[0]
        kept = torch.bincount(rows, minlength=utterances)
        alive = kept > 0
        keys_values, mask = self.keys_values, self.mask
        if not bool(alive.all()):
            # Utterances that are done take no part in further steps.
            keep = alive.nonzero().squeeze(1)
            keys_values = tuple(pair.index_select(1, keep) for pair in keys_values)
            mask, kept = mask[keep], kept[keep]
            rows = (alive.cumsum(0) - 1)[rows]
            utterances = mask.shape[0]
        width = int(kept.max()) if len(rows) else 1
        numbers = torch.arange(len(rows), device=rows.device)
        if (
            torch.equal(rows, torch.div(numbers, width, rounding_mode="floor"))
            and len(rows) == utterances * width
        ):
            return replace(self, keys_values=keys_values, mask=mask, rows=rows, width=width, slots=None)
        order = rows.argsort(stable=True)
        starts = kept.cumsum(0) - kept
        slots = torch.empty_like(rows)
        slots[order] = rows[order] * width + numbers - starts[rows[order]]
        return replace(self, keys_values=keys_values, mask=mask, rows=rows, width=width, slots=slots)

    def gather(self, queries: Tensor) -> Tensor:
        """``(hypotheses, size)`` to ``(utterances, width, size)``; empty places are zero."""
        utterances = self.mask.shape[0]
        if self.slots is not None:
            table = queries.new_zeros(utterances * self.width, queries.shape[1])
            queries = table.index_copy(0, self.slots, queries)
        return queries.unflatten(0, (utterances, self.width))

    def scatter(self, values: Tensor) -> Tensor:
        """Inverse of :meth:`gather`."""
        flat = values.flatten(0, 1)
        return flat if self.slots is None else flat[self.slots]
