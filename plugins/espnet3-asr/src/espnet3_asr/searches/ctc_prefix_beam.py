"""CTC prefix beam search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from espnet3_core.errors import UserError
from torch import Tensor

from espnet3_asr.searches.config import CTCPrefixBeamConfig
from espnet3_asr.searches.encoding import Utterances, encode
from espnet3_asr.searches.history import History
from espnet3_asr.searches.timestamps import results

_BLANK = 0
_FACTOR = 6364136223846793005
"""Multiplier of the polynomial hash of prefixes, modulo 2**64 (Knuth's MMIX generator)."""


class _Prefixes(NamedTuple):
    """The beam: ``(batch, width)`` each, best first.

    ``blank`` and ``token`` are log-probabilities of the paths so far that end in a blank, or in the
    prefix's ``last`` token. ``key`` identifies a prefix, ``parent`` the one without its last token.
    """

    blank: Tensor
    token: Tensor
    last: Tensor
    key: Tensor
    parent: Tensor

    @property
    def total(self) -> Tensor:
        return torch.logaddexp(self.blank, self.token)


class CTCPrefixBeam:
    """The most probable texts under CTC, summed over paths (Graves 2008, section 7.5.3; Hannun 2014).

    Frame by frame, all prefixes of all utterances together: a prefix stays as it is, or grows by a token;
    where a grown prefix equals another one of the beam, their probabilities are added. Frames need a loop,
    prefixes and tokens do not.

    Args:
        config: Options.
        model: A model with ``encode``, ``ctc.log_probs``, ``sample_rate`` and ``frame_seconds``.
        tokenizer: Ids to text.
        device: Where to compute; None for where the model is.

    Raises:
        UserError: An option is out of its range.
    """

    def __init__(
        self, config: CTCPrefixBeamConfig, *, model: Any, tokenizer: Any, device: Any = None
    ) -> None:
        _check(config)
        self.config = config
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.device = device

    @torch.inference_mode()
    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One result per utterance; ``score`` is the log-probability of the text, within the beam."""
        utterances = encode(self.model, batch, self.device)
        return results(self.tokenizer, utterances, self.search(utterances), self.config.timestamps)

    @torch.inference_mode()
    def search(self, utterances: Utterances) -> list[list[tuple[list[int], float]]]:
        """N-best lists of token ids and log-probabilities, best first, one per utterance."""
        if not utterances.frames:
            return []
        ctc = utterances.ctc
        batch, frames, size = ctc.shape
        blanks = ctc[:, :, _BLANK].double()
        tokens = ctc.clone()
        tokens[:, :, _BLANK] = -torch.inf
        count = min(self.config.tokens_per_frame or size, size - 1)
        scores, tokens = tokens.topk(count, 2)
        scores = scores.double()
        rows = torch.arange(batch, device=ctc.device)
        beam, history = _start(batch, self.config.beam_size, ctc.device), History(batch)
        for frame in range(frames):
            again = ctc[:, frame].gather(1, beam.last).double()
            grown, parents, added = _grow(
                beam, blanks[:, frame, None], again, scores[:, frame], tokens[:, frame]
            )
            valid = (frame < utterances.lengths).unsqueeze(1)
            beam = _Prefixes(*(torch.where(valid, new, old) for new, old in zip(grown, beam, strict=True)))
            unchanged = torch.arange(self.config.beam_size, device=ctc.device)
            history.add(torch.where(valid, parents, unchanged), torch.where(valid, added, -1), rows)
        return _nbest(beam, history, frames, self.config.nbest)


def _start(batch: int, width: int, device: Any) -> _Prefixes:
    """The empty prefix in the first column, nothing in the others."""
    nothing = torch.full((batch, width), -torch.inf, dtype=torch.float64, device=device)
    blank = nothing.clone()
    blank[:, 0] = 0.0
    # Keys of unused columns differ from each other and from all parents.
    key = torch.arange(1, width + 1, device=device).expand(batch, -1)
    return _Prefixes(blank, nothing, torch.zeros_like(key), key, torch.zeros_like(key))


def _grow(
    beam: _Prefixes, blank: Tensor, again: Tensor, scores: Tensor, tokens: Tensor
) -> tuple[_Prefixes, Tensor, Tensor]:
    """One frame.

    Args:
        beam: Prefixes before the frame.
        blank: ``(batch, 1)`` log-probability of the blank.
        again: ``(batch, width)`` log-probability of each prefix's last token.
        scores: ``(batch, n)`` log-probabilities of the tokens that may extend prefixes.
        tokens: ``(batch, n)`` these tokens.

    Returns:
        The new beam; per new prefix the column that it comes from; and its new token, or -1.
    """
    width, total = beam.key.shape[1], beam.total
    same = tokens.unsqueeze(1) == beam.last.unsqueeze(2)
    # A token equal to the last one makes a new prefix only after a blank.
    longer = torch.where(same, beam.blank.unsqueeze(2), total.unsqueeze(2)) + scores.unsqueeze(1)
    stay_blank, stay_token = total + blank, beam.token + again
    is_child = beam.key.unsqueeze(2) == beam.parent.unsqueeze(1)
    has_parent, origin = is_child.any(1), is_child.byte().argmax(1)
    repeats = beam.last.gather(1, origin) == beam.last
    joined = torch.where(repeats, beam.blank.gather(1, origin), total.gather(1, origin)) + again
    stay_token = torch.logaddexp(stay_token, joined.masked_fill(~has_parent, -torch.inf))
    taken = torch.bmm(is_child.to(scores.dtype), same.to(scores.dtype)) > 0
    longer = longer.masked_fill(taken, -torch.inf).flatten(1)
    best, index = torch.cat([torch.logaddexp(stay_blank, stay_token), longer], 1).topk(width, 1)
    stays = index < width
    extension = (index - width).clamp(min=0)
    parents = torch.where(stays, index, torch.div(extension, tokens.shape[1], rounding_mode="floor"))
    added = tokens.gather(1, extension % tokens.shape[1])
    key = beam.key.gather(1, parents)
    parent = torch.where(stays, beam.parent.gather(1, parents), key)
    key = torch.where(stays, key, key * _FACTOR + added)
    # An impossible prefix in the beam could be the twin of a possible one: it must match nothing.
    impossible = best == -torch.inf
    grown = _Prefixes(
        torch.where(stays, stay_blank.gather(1, parents), -torch.inf),
        torch.where(stays, stay_token.gather(1, parents), longer.gather(1, extension)),
        torch.where(stays, beam.last.gather(1, parents), added),
        torch.where(impossible, -1 - torch.arange(width, device=key.device), key),
        parent.masked_fill(impossible, 0),
    )
    return grown, parents, added.masked_fill(stays, -1)


def _nbest(beam: _Prefixes, history: History, frames: int, count: int) -> list[list[tuple[list[int], float]]]:
    count = min(count, beam.key.shape[1])
    columns = torch.arange(count).expand(len(beam.key), -1)
    texts = history.texts(torch.full_like(columns, frames), columns)
    scores = beam.total[:, :count].tolist()
    return [
        [(ids, score) for ids, score in zip(row, values, strict=True) if score > -torch.inf]
        for row, values in zip(texts, scores, strict=True)
    ]


def _check(config: CTCPrefixBeamConfig) -> None:
    for name in ("beam_size", "nbest", "tokens_per_frame"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UserError(f"search.{name} must be at least 1, not {value}")
