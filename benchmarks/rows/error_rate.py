"""Word error rate of 100,000 pairs of 5 to 30 words, a tenth of them wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import inputs
from work import Case, Row, Setting, Work

COUNT = 100_000
ALONE, SHOWN = "the rate", "the rate and the file of alignments"


def ours(case: str, setting: Setting) -> Work:
    """``asr/wer`` without an interval, which the peers do not give."""
    from espnet3_asr.metrics.config import WordErrorRateConfig
    from espnet3_asr.metrics.rates import WordErrorRate

    references, hypotheses = inputs.pairs(COUNT)
    ids = [f"u{number:06d}" for number in range(COUNT)]

    def run() -> float:
        metric = WordErrorRate(WordErrorRateConfig(interval=None))
        metric.update(ids, reference=references, hypothesis=hypotheses)
        if case == SHOWN:
            metric.write_artifacts(setting.exchange, "wer")
        return round(float(metric.compute()["wer"]), 2)

    return Work(run, COUNT, "pairs")


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet3's metric."""
    import logging

    logging.disable(logging.INFO)
    from espnet3.systems.esp2_asr.metrics.wer import WER

    references, hypotheses = inputs.pairs(COUNT)

    def run() -> float:
        metric = WER()
        metric.collect_artifacts = case == SHOWN
        metric.update(ref=references, hyp=hypotheses)
        rate = metric.compute()["WER"]
        if case == SHOWN:
            metric.write_artifacts(setting.exchange)
        return float(rate)

    return Work(run, COUNT, "pairs")


def jiwer(case: str, setting: Setting) -> Work:
    """jiwer itself."""
    from jiwer import wer

    references, hypotheses = inputs.pairs(COUNT)
    return Work(lambda: round(100 * wer(references, hypotheses), 2), COUNT, "pairs")


def check(case: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Whether all sides give one rate."""
    return {"rates": sorted(set(values.values())), "ok": len(set(values.values())) == 1}


ROW = Row(
    title="word error rate of 100,000 pairs",
    cases=(
        Case(ALONE, bar=1.0, repeats=3),
        Case(SHOWN, bar=0.25, repeats=3, sides=("ours", "espnet")),
    ),
    sides={"ours": ours, "espnet": espnet, "jiwer": jiwer},
    check=check,
)
