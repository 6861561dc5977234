"""Hypotheses of a beam search as links to their predecessors: nothing is copied when beams are reordered."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class _Step(NamedTuple):
    utterances: Tensor
    parents: Tensor
    tokens: Tensor


class History:
    """Which hypothesis each hypothesis extends, and by which token.

    Args:
        batch: Number of utterances.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._steps: list[_Step] = []

    def add(self, parents: Tensor, tokens: Tensor, utterances: Tensor) -> None:
        """Record a step.

        Args:
            parents: ``(rows, width)`` column of the step before.
            tokens: ``(rows, width)`` token added, or -1 for none.
            utterances: ``(rows,)`` utterance of each row.
        """
        self._steps.append(_Step(utterances, parents, tokens))

    def texts(self, steps: Tensor, columns: Tensor) -> list[list[list[int]]]:
        """Token ids of hypotheses, by utterance.

        Args:
            steps: ``(batch, n)`` number of steps taken.
            columns: ``(batch, n)`` column after the last of them.
        """
        parents, tokens = self._tables()
        rows = np.arange(self._batch)[:, None]
        taken, place = steps.cpu().numpy(), columns.cpu().numpy()
        spelled = np.full((len(tokens), *place.shape), -1)
        for step in range(len(tokens) - 1, -1, -1):
            inside = taken > step
            here = np.where(inside, place, 0)
            spelled[step] = np.where(inside, tokens[step][rows, here], -1)
            place = np.where(inside, parents[step][rows, here], place)
        return [
            [[int(token) for token in column if token >= 0] for column in row]
            for row in spelled.transpose(1, 2, 0)
        ]

    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Parents and tokens ``(steps, batch, width)``, moved to the CPU at once."""
        width = max((step.parents.shape[1] for step in self._steps), default=1)
        shape = (len(self._steps), self._batch, width)
        parents, tokens = np.zeros(shape, np.int64), np.full(shape, -1)
        if not self._steps:
            return parents, tokens
        flat = torch.cat([part.flatten() for step in self._steps for part in step]).cpu().numpy()
        place = 0
        for number, step in enumerate(self._steps):
            rows, columns = step.parents.shape
            utterances = flat[place : place + rows]
            place += rows
            size = rows * columns
            parents[number, utterances, :columns] = flat[place : place + size].reshape(rows, columns)
            tokens[number, utterances, :columns] = flat[place + size : place + 2 * size].reshape(
                rows, columns
            )
            place += 2 * size
        return parents, tokens
