"""What a language model must offer to take part in a beam search."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from espnet3_asr.searches.encoding import Utterances


class Scorer(Protocol):
    """Log-probabilities of the next token, for all hypotheses at once.

    Registered as a module of role ``scorer`` and chosen in ``inference.search.scorers``; built as
    ``target(config, *, tokenizer, vocab_size, device)``, needs that it does not name left out. A state is
    whatever the scorer likes; it stands for all hypotheses and is never changed in place.

    Attributes:
        weight: Factor of its log-probabilities in the sum of the search; usually a field of its
            configuration.
    """

    weight: float

    def start(self, utterances: Utterances) -> Any:
        """State of one empty hypothesis per utterance."""

    def score(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Score what may follow.

        Args:
            tokens: ``(hypotheses,)`` last token of each; at first the one that starts sentences.
            state: From :meth:`start`, :meth:`score` or :meth:`reorder`.

        Returns:
            ``(hypotheses, vocabulary)`` log-probabilities, and the state with the token taken in.
        """

    def reorder(self, state: Any, index: Tensor) -> Any:
        """State of the hypotheses ``index`` ``(new hypotheses,)``: repeated, dropped, in another order."""


class DecoderScorer:
    """An attention decoder as a scorer.

    Args:
        decoder: A module of role ``decoder``.
        weight: Factor in the sum.
    """

    def __init__(self, decoder: Any, weight: float) -> None:
        self.decoder = decoder
        self.weight = weight

    def start(self, utterances: Utterances) -> Any:
        """The encoder output, as the decoder keeps it."""
        # A recording without frames gets one of zeros: attention over nothing would be undefined.
        return self.decoder.start(utterances.memory, utterances.lengths.clamp(min=1))

    def score(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One decoder step."""
        return self.decoder.step(tokens, state)

    def reorder(self, state: Any, index: Tensor) -> Any:
        """The state of other hypotheses."""
        return self.decoder.reorder(state, index)
