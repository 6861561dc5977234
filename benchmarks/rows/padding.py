"""Padding of bucketed batches on lengths like LibriSpeech's; nothing is timed against a peer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from work import Case, Row, Setting, Work

COUNT, SECONDS = 281_241, 120.0
LIMIT = 0.1


def lengths() -> Any:
    """Seconds as in LibriSpeech's 960 h: two thirds between 11 and 17 s, the rest shorter."""
    import numpy as np

    draw = np.random.default_rng(0)
    long = draw.normal(14.6, 1.1, COUNT)
    short = draw.gamma(2.6, 3.2, COUNT)
    return np.where(draw.random(COUNT) < 0.66, long, short).clip(1.0, 24.5)


def ours(case: str, setting: Setting) -> Work:
    """The sampler of training with at most 120 s to a batch."""
    from espnet3_core.config.roles import BatchConfig
    from espnet3_core.data.sampler import BatchSampler

    values = lengths()

    def run() -> float:
        return float(BatchSampler(values, BatchConfig(seconds=SECONDS), count=COUNT).waste())

    return Work(run, COUNT, "utterances planned", {"hours": round(float(values.sum()) / 3600)})


def check(case: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The share of padded frames."""
    return {"padding": values["ours"], "ok": values["ours"] < LIMIT}


ROW = Row(
    title="padding, 281,241 utterances with lengths like LibriSpeech's, 120 s per batch",
    cases=(Case("plan of an epoch", repeats=1),),
    sides={"ours": ours},
    check=check,
)
