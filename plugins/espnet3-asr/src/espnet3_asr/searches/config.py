"""Configurations of the searches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError


@dataclass(kw_only=True)
class CTCGreedyConfig:
    """The best CTC path (``asr/ctc_greedy``)."""

    timestamps: bool = True
    """Add ``words`` and ``token_times`` in seconds."""


@dataclass(kw_only=True)
class CTCLexiconConfig:
    """The best CTC path that spells words of a lexicon (``asr/ctc_lexicon``)."""

    prior_scale: float = 0.0
    """Power of the tokens' priors that posteriors are divided by, from 0 (not at all) to 1: what is frequent
    in training, the blank above all, is then not preferred where the sound decides little. Needs a model
    trained with ``ctc_prior``."""
    timestamps: bool = True
    """Add ``words`` and ``token_times`` in seconds."""

    def __post_init__(self) -> None:
        if not 0 <= self.prior_scale <= 1:
            raise UserError(f"prior_scale must be from 0 to 1, not {self.prior_scale:g}")


@dataclass(kw_only=True)
class CTCPrefixBeamConfig:
    """The most probable texts under CTC (``asr/ctc_prefix_beam``)."""

    beam_size: int = 10
    """Prefixes kept at each frame."""
    tokens_per_frame: int | None = 40
    """Only so many of a frame's most probable tokens extend prefixes; None for all."""
    nbest: int = 1
    """Hypotheses to return, at most beam_size."""
    timestamps: bool = True
    """Add ``words`` and ``token_times`` in seconds, from the CTC alignment of the best hypothesis."""


@dataclass(kw_only=True)
class JointBeamConfig:
    """Attention decoder, CTC and language models together (``asr/joint_beam``)."""

    beam_size: int = 10
    """Hypotheses kept at each length; 1 is greedy."""
    ctc_weight: float = 0.3
    """Weight of the CTC log-probability; the decoder's is the rest. 1 uses no decoder, 0 no CTC."""
    length_bonus: float = 0.0
    """Added to the score for each token (negative shortens)."""
    max_length_ratio: float = 0.0
    """Most tokens per encoder frame; 0 allows as many as there are frames, -n allows n tokens."""
    min_length_ratio: float = 0.0
    """Fewest tokens per encoder frame; -n demands n tokens."""
    nbest: int = 1
    """Hypotheses to return."""
    pre_beam: int | None = 40
    """CTC scores only so many next tokens per hypothesis, the best of the other scorers; None for all."""
    end_detection: bool = True
    """Stop when finished hypotheses of three lengths in a row are hopelessly worse than the best one."""
    scorers: list[Annotated[Component, Slot("module", "scorer")]] = field(default_factory=list)
    """Language models; each brings its weight."""
    timestamps: bool = True
    """Add ``words`` and ``token_times`` in seconds, from the CTC alignment of the best hypothesis."""
