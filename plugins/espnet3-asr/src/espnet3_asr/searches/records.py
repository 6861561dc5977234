"""Records of the searches."""

from __future__ import annotations

from espnet3_core.specs import SearchSpec

SEARCHES = (
    SearchSpec(
        name="asr/ctc_greedy",
        target="espnet3_asr.searches.ctc_greedy:CTCGreedy",
        config="espnet3_asr.searches.config:CTCGreedyConfig",
        summary="Best CTC path, with token and word times",
        tasks=("asr",),
    ),
    SearchSpec(
        name="asr/ctc_lexicon",
        target="espnet3_asr.searches.ctc_lexicon:CTCLexicon",
        config="espnet3_asr.searches.config:CTCLexiconConfig",
        summary="Best CTC path that spells words of the lexicon, with token and word times",
        tasks=("asr",),
    ),
    SearchSpec(
        name="asr/ctc_prefix_beam",
        target="espnet3_asr.searches.ctc_prefix_beam:CTCPrefixBeam",
        config="espnet3_asr.searches.config:CTCPrefixBeamConfig",
        summary="Most probable texts under CTC, with n-best",
        tasks=("asr",),
    ),
    SearchSpec(
        name="asr/joint_beam",
        target="espnet3_asr.searches.joint_beam:JointBeam",
        config="espnet3_asr.searches.config:JointBeamConfig",
        summary="Attention decoder, CTC and language models in one beam",
        tasks=("asr",),
        provides=("tokenizer", "vocab_size", "device"),
    ),
)
