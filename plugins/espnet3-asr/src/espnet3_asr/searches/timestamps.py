"""Results of beam searches, with times from CTC forced alignment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from espnet3_asr.alignment import forced_align
from espnet3_asr.searches.encoding import Utterances
from espnet3_asr.searches.results import Span, result, span_seconds


def token_spans(utterances: Utterances, texts: Sequence[Sequence[int]]) -> list[list[Span] | None]:
    """Start and end of each token in seconds; None for a text that needs more frames than there are.

    Args:
        utterances: Encoded batch.
        texts: Token ids of each utterance.
    """
    device = utterances.ctc.device
    size = max((len(ids) for ids in texts), default=0)
    tokens = torch.tensor([[*ids, *[0] * (size - len(ids))] for ids in texts], dtype=torch.long)
    counts = torch.tensor([len(ids) for ids in texts])
    found = forced_align(
        utterances.ctc, utterances.lengths, tokens.view(len(texts), size).to(device), counts.to(device)
    )
    starts, ends, scores = found.starts.tolist(), found.ends.tolist(), found.scores.tolist()
    spans: list[list[Span] | None] = []
    for row, ids in enumerate(texts):
        frames = list(zip(starts[row][: len(ids)], ends[row][: len(ids)], strict=True))
        times = span_seconds(frames, utterances.frame_seconds, utterances.durations[row])
        spans.append(times if scores[row] > -torch.inf else None)
    return spans


def results(
    tokenizer: Any, utterances: Utterances, nbests: Sequence[list[tuple[list[int], float]]], timestamps: bool
) -> list[dict[str, Any]]:
    """The result of each utterance, with times of its best hypothesis if wanted.

    Args:
        tokenizer: Ids to text.
        utterances: Encoded batch.
        nbests: Token ids and scores of each utterance, best first.
        timestamps: Whether to align.
    """
    spans: list[list[Span] | None] = [None] * len(nbests)
    if timestamps and nbests:
        spans = token_spans(utterances, [nbest[0][0] for nbest in nbests])
    return [result(tokenizer, nbest, times) for nbest, times in zip(nbests, spans, strict=True)]
