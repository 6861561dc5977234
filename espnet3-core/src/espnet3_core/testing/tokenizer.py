"""What a tokenizer must offer: texts come back, and nothing that is said makes it fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from espnet3_core.errors import UserError
from espnet3_core.testing.conformance import Conformance
from espnet3_core.testing.fresh import in_fresh_process

TEXTS = (
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen liquor jugs",
    "one two three four five six seven eight nine ten",
    "it's a quarter to twelve",
    "a",
)


class TokenizerConformance(Conformance):
    """Training, round trip, unknown characters, saving.

    Attributes:
        texts: What it is trained on, and what must come back.
        unknown: A text with symbols that are not in ``texts``.
    """

    kind = "tokenizer"
    texts: Sequence[str] = TEXTS
    unknown: str = "the \u2603 fox"

    def trained(self) -> Any:
        """The tokenizer, trained on the texts."""
        tokenizer = self.build()
        try:
            tokenizer.train(iter(self.texts))
        except UserError as error:
            self.fail(f"it cannot be trained: {error}", "choose `config` and `texts` that go together")
        return tokenizer

    def expected(self, tokenizer: Any, text: str) -> str:
        """What decoding gives back: the text as the tokenizer normalizes it (``normalize``), if it does."""
        normalize = getattr(tokenizer, "normalize", None)
        return str(normalize(text)) if callable(normalize) else text

    def test_the_vocabulary_is_well_formed(self) -> None:
        """Distinct tokens; blank first, sentence boundary last."""
        tokenizer = self.trained()
        tokens = list(tokenizer.tokens)
        self.expect(
            len(tokenizer) == len(tokens),
            f"len() is {len(tokenizer)} for {len(tokens)} tokens",
            "len(tokens)",
        )
        twice = sorted({token for token in tokens if tokens.count(token) > 1})
        self.expect(not twice, f"tokens stand in it twice: {twice[:5]}", "make them distinct")
        last = len(tokens) - 1
        self.expect(
            tokenizer.blank_id == 0 and tokenizer.sos_id == tokenizer.eos_id == last,
            f"blank_id, sos_id, eos_id are {tokenizer.blank_id}, {tokenizer.sos_id}, {tokenizer.eos_id}",
            f"id 0 is the blank, and the last id ({last}) starts and ends a sentence",
        )

    def test_texts_come_back(self) -> None:
        """``decode(encode(text))`` is the text."""
        tokenizer = self.trained()
        for text in self.texts:
            ids = list(tokenizer.encode(text))
            self._legal(tokenizer, text, ids)
            back, wanted = tokenizer.decode(ids), self.expected(tokenizer, text)
            self.expect(
                back == wanted, f"{text!r} comes back as {back!r}", f"decode(encode(text)) must be {wanted!r}"
            )

    def test_the_empty_text(self) -> None:
        """No tokens, and no tokens are the empty text."""
        tokenizer = self.trained()
        ids, text = list(tokenizer.encode("")), tokenizer.decode([])
        self.expect(
            ids == [] and text == "", f"'' is {ids}, and [] is {text!r}", "the empty text has no tokens"
        )

    def test_unknown_characters(self) -> None:
        """A text with new symbols keeps the others; the new ones are unknown, or spelt."""
        tokenizer = self.trained()
        try:
            ids = list(tokenizer.encode(self.unknown))
            back = tokenizer.decode(ids)
        except Exception as error:
            self.fail(
                f"{self.unknown!r}: {type(error).__name__}: {error}",
                "symbols that training has not seen are unk_id, or bytes: test texts have them",
            )
        self._legal(tokenizer, self.unknown, ids)
        self.expect(
            tokenizer.unk_id in ids or back == self.expected(tokenizer, self.unknown),
            f"{self.unknown!r} has no unknown token, and comes back as {back!r}",
            "a symbol must not vanish: errors could not be counted",
        )

    def test_special_tokens_are_not_text(self) -> None:
        """``decode`` leaves out blank and sentence boundary."""
        tokenizer = self.trained()
        ids = list(tokenizer.encode(self.texts[0]))
        framed = [tokenizer.sos_id, *ids, tokenizer.blank_id, tokenizer.eos_id]
        back, wanted = tokenizer.decode(framed), self.expected(tokenizer, self.texts[0])
        self.expect(
            back == wanted,
            f"with blank and boundary around it, a text decodes to {back!r}",
            f"leave them out: {wanted!r}",
        )

    def test_saved_and_loaded(self) -> None:
        """A new tokenizer that loads what another saved is the same, in a process of its own too."""
        tokenizer = self.trained()
        tokenizer.save(self.folder)
        other = self.build()
        other.load(self.folder)
        texts = [*self.texts, self.unknown]
        wanted = [list(tokenizer.encode(text)) for text in texts]
        self.expect(
            list(other.tokens) == list(tokenizer.tokens) and [list(other.encode(t)) for t in texts] == wanted,
            "what was saved is loaded as another tokenizer",
            "save() must write all that load() needs",
        )
        try:
            there = in_fresh_process(_encode, other, texts)
        except Exception as error:
            self.fail(
                f"it cannot be sent to a worker: {type(error).__name__}: {error}",
                "make it picklable: __getstate__ keeps what a library's object is made from",
            )
        self.expect(
            there == wanted, "in a spawned worker it gives other tokens", "send all that encode() uses"
        )

    def test_training_is_repeatable(self) -> None:
        """The same texts give the same vocabulary."""
        self.expect(
            list(self.trained().tokens) == list(self.trained().tokens),
            "trained twice on the same texts, it has two vocabularies",
            "sort what comes from sets and counts before it gets ids",
        )

    def _legal(self, tokenizer: Any, text: str, ids: list[Any]) -> None:
        bad = [i for i in ids if not isinstance(i, int) or not 0 < i < len(tokenizer) - 1]
        self.expect(
            not bad,
            f"{text!r} has the ids {bad[:5]}",
            "encode() gives ints, neither the blank nor the boundary",
        )


def _encode(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    return [list(tokenizer.encode(text)) for text in texts]
