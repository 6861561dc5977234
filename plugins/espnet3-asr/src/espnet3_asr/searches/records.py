"""Records of the searches."""

from __future__ import annotations

from espnet3_core.specs import SearchSpec

SEARCHES = (
    SearchSpec(
        name="asr/ctc_greedy",
        target="espnet3_asr.searches.ctc_greedy:CTCGreedy",
        config="espnet3_asr.searches.config:CTCGreedyConfig",
        summary="best CTC path, with token and word times",
        tasks=("asr",),
    ),
)
