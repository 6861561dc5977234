"""Hypotheses to results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Span = tuple[float, float]
"""Start and end in seconds."""


def hypothesis(tokenizer: Any, ids: Sequence[int], score: float) -> dict[str, Any]:
    """One entry of an n-best list: ``text``, ``tokens`` and ``score`` (natural logarithm)."""
    return {
        "text": tokenizer.decode(list(ids)),
        "tokens": [tokenizer.tokens[index] for index in ids],
        "score": score,
    }


def result(
    tokenizer: Any, nbest: Sequence[tuple[Sequence[int], float]], spans: Sequence[Span] | None = None
) -> dict[str, Any]:
    """The result of an utterance.

    Args:
        tokenizer: Ids to text.
        nbest: Token ids and scores, best first; at least one.
        spans: Times of the best hypothesis' tokens, when known.

    Returns:
        ``text``, ``tokens``, ``score`` of the best, ``nbest``, and with spans ``token_times``
        (``{"token", "start", "end"}``) and ``words`` (``{"word", "start", "end"}``).
    """
    entries = [hypothesis(tokenizer, ids, score) for ids, score in nbest]
    found: dict[str, Any] = {**entries[0], "nbest": entries}
    if spans is not None:
        found["token_times"] = [
            {"token": token, "start": start, "end": end}
            for token, (start, end) in zip(found["tokens"], spans, strict=True)
        ]
        found["words"] = words(tokenizer, nbest[0][0], spans)
    return found


def words(tokenizer: Any, ids: Sequence[int], spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Words with their times: from the start of a word's first token to the end of its last.

    Which tokens make up a word follows from decoding longer and longer beginnings of the text, so that it
    holds for every tokenizer; tokens that only separate words belong to none.
    """
    times: list[list[float]] = []
    before = ""
    for position, (start, end) in enumerate(spans):
        text = tokenizer.decode(list(ids[: position + 1])).rstrip()
        if text == before:
            continue
        before = text
        count = len(text.split())
        if count <= len(times) and times:
            times[-1][1] = end
        times += [[start, end] for _ in range(count - len(times))]
    return [
        {"word": word, "start": start, "end": end}
        for word, (start, end) in zip(before.split(), times, strict=False)
    ]


def span_seconds(frames: Sequence[tuple[int, int]], frame_seconds: float, duration: float) -> list[Span]:
    """Frame ranges (end exclusive) to seconds, rounded to milliseconds, within the recording."""
    return [
        (round(min(start * frame_seconds, duration), 3), round(min(end * frame_seconds, duration), 3))
        for start, end in frames
    ]
