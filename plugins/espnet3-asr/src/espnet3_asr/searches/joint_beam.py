"""Joint CTC/attention beam search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from espnet3_core.errors import UserError

from espnet3_asr.searches.beam import Beam, Limits
from espnet3_asr.searches.config import JointBeamConfig
from espnet3_asr.searches.ctc_prefix_scorer import CTCPrefixScorer
from espnet3_asr.searches.encoding import Utterances, encode
from espnet3_asr.searches.scorer import DecoderScorer, Scorer
from espnet3_asr.searches.timestamps import results


class JointBeam:
    """One-pass beam search over texts (Watanabe et al. 2017, section IV-B, equation 44).

    The score of a text is ``(1 - w) log p_attention + w log p_ctc``, plus weighted language models, plus
    ``length_bonus`` per token. All hypotheses of all utterances advance together, one token per step.

    Args:
        config: Options.
        model: A model with ``encode``, ``ctc``, ``sample_rate``, ``frame_seconds`` and, unless
            ``ctc_weight`` is 1, ``decoder``.
        tokenizer: Ids to text.
        device: Where to compute; None for where the model is.

    Raises:
        UserError: An option is out of its range, or the model has no decoder.
    """

    def __init__(self, config: JointBeamConfig, *, model: Any, tokenizer: Any, device: Any = None) -> None:
        _check(config, model)
        self.config = config
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.device = device or next(model.parameters()).device
        self.scorers: list[Scorer] = []
        if config.ctc_weight < 1:
            self.scorers.append(DecoderScorer(model.decoder, 1 - config.ctc_weight))
        needs = {"tokenizer": tokenizer, "vocab_size": len(tokenizer), "device": self.device}
        self.scorers += [component.build(**needs) for component in config.scorers]

    @torch.inference_mode()
    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One result per utterance; ``score`` is the sum described above."""
        utterances = encode(self.model, batch, self.device)
        return results(self.tokenizer, utterances, self.search(utterances), self.config.timestamps)

    @torch.inference_mode()
    def search(self, utterances: Utterances) -> list[list[tuple[list[int], float]]]:
        """N-best lists of token ids and scores, best first, one per utterance."""
        if not utterances.frames:
            return []
        config = self.config
        ctc = CTCPrefixScorer(utterances.ctc, utterances.lengths) if config.ctc_weight > 0 else None
        # A CTC path has at most one token per frame.
        limits = Limits.of(config, utterances, per_frame=ctc is not None)
        beam = Beam(config, self.scorers, ctc, utterances, limits, boundary=self.tokenizer.eos_id)
        while beam.advance():
            pass
        return beam.nbest()


def _check(config: JointBeamConfig, model: Any) -> None:
    for name in ("beam_size", "nbest"):
        if getattr(config, name) < 1:
            raise UserError(f"search.{name} must be at least 1, not {getattr(config, name)}")
    if config.pre_beam is not None and config.pre_beam < 1:
        raise UserError(f"search.pre_beam must be at least 1, not {config.pre_beam}")
    if not 0 <= config.ctc_weight <= 1:
        raise UserError(f"search.ctc_weight must be in [0, 1], not {config.ctc_weight}")
    if config.ctc_weight < 1 and not hasattr(model, "decoder"):
        raise UserError(
            f"search asr/joint_beam with ctc_weight {config.ctc_weight} needs a model with a decoder",
            hint="train asr/ctc_attention, set search.ctc_weight=1, or choose asr/ctc_prefix_beam",
        )
