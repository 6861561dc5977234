"""Records of the metrics."""

from __future__ import annotations

from espnet3_core.specs import MetricSpec

_CONFIG = "espnet3_asr.metrics.config"

METRICS = (
    MetricSpec(
        name="asr/wer",
        target="espnet3_asr.metrics.rates:WordErrorRate",
        config=f"{_CONFIG}:WordErrorRateConfig",
        summary="Word error rate in percent, with a bootstrap interval",
        tasks=("asr",),
    ),
    MetricSpec(
        name="asr/cer",
        target="espnet3_asr.metrics.rates:CharacterErrorRate",
        config=f"{_CONFIG}:CharacterErrorRateConfig",
        summary="Character error rate in percent, with a bootstrap interval",
        tasks=("asr",),
    ),
    MetricSpec(
        name="asr/ter",
        target="espnet3_asr.metrics.rates:TokenErrorRate",
        config=f"{_CONFIG}:TokenErrorRateConfig",
        summary="Error rate over the experiment's tokens in percent, with a bootstrap interval",
        tasks=("asr",),
    ),
)
