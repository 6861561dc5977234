"""Greedy CTC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espnet3_asr.searches.config import CTCGreedyConfig
from espnet3_asr.searches.encoding import encode_frames
from espnet3_asr.searches.results import result, span_seconds


class CTCGreedy:
    """Best path decoding (Graves et al. 2006, section 3.2): the best token of each frame, collapsed.

    Args:
        config: Options.
        model: A model with ``encode``, ``sample_rate``, ``frame_seconds``, and ``ctc.best_path`` or
            ``ctc.log_probs``.
        tokenizer: Ids to text.
        device: Where to compute; None for where the model is.
    """

    def __init__(self, config: CTCGreedyConfig, *, model: Any, tokenizer: Any, device: Any = None) -> None:
        self.config = config
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.device = device

    @torch.inference_mode()
    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One result per utterance; ``score`` is the log-probability of the best path."""
        utterances = encode_frames(self.model, batch, self.device)
        scores, tokens = (value.cpu().numpy() for value in _best_path(self.model.ctc, utterances.memory))
        found = []
        for row, frames in enumerate(utterances.frames):
            ids, runs = collapse(tokens[row, :frames])
            spans = span_seconds(runs, utterances.frame_seconds, utterances.durations[row])
            score = float(scores[row, :frames].sum())
            found.append(result(self.tokenizer, [(ids, score)], spans if self.config.timestamps else None))
        return found


def _best_path(ctc: Any, memory: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability and id of the best token of each frame, both ``(batch, frames)``."""
    if hasattr(ctc, "best_path"):
        return ctc.best_path(memory)  # type: ignore[no-any-return]
    return ctc.log_probs(memory).max(-1)  # type: ignore[no-any-return]


def collapse(path: np.ndarray, blank: int = 0) -> tuple[list[int], list[tuple[int, int]]]:
    """A path to its tokens and the frames, end exclusive, of each.

    >>> collapse(np.array([0, 3, 3, 0, 3, 5]))
    ([3, 3, 5], [(1, 3), (4, 5), (5, 6)])
    """
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ends = np.append(starts[1:], len(path))
    kept = path[starts] != blank
    runs = zip(starts[kept].tolist(), ends[kept].tolist(), strict=True)
    return path[starts[kept]].tolist(), list(runs)
