"""What all text frontends share: inventory, punctuation, blanks, and the files of a bundle."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError

from espnet3_tts.text.config import BLANK, BOUNDARY, SPACE, UNKNOWN, FrontendConfig

TOKENS_FILE = "tokens.txt"
FACTS_FILE = "frontend.json"
_DASH = re.compile(r"(?<=\s)-+(?=\s)|-{2,}")
_CLIPPED = ("'tis", "'twas", "'em", "'til", "'bout", "'cause")
"""Words whose first apostrophe is not a quotation mark."""
_WORD_OR_MARK = re.compile(r"[A-Za-z']+|[.,?!;:-]")


class TextFrontend(ABC):
    """Text to tokens: id 0 is the blank, 1 unknown, the last one stands at beginning and end.

    Attributes:
        tokens: The inventory in order of ids.
        version: Changes whenever some text gets other tokens.
    """

    blank_id = 0
    unk_id = 1
    trainable = False
    version = 1

    def __init__(self, config: FrontendConfig, symbols: Sequence[str]) -> None:
        self.config: Any = config
        self._set_tokens((BLANK, UNKNOWN, *symbols, BOUNDARY))

    def _set_tokens(self, tokens: Sequence[str]) -> None:
        self.tokens = tuple(tokens)
        self._ids = {token: index for index, token in enumerate(self.tokens)}

    @property
    def sos_id(self) -> int:
        """Id of the token that begins an utterance."""
        return len(self.tokens) - 1

    @property
    def eos_id(self) -> int:
        """Id of the token that ends an utterance; the same as ``sos_id``."""
        return len(self.tokens) - 1

    def __len__(self) -> int:
        return len(self.tokens)

    @abstractmethod
    def symbols(self, text: str) -> list[str]:
        """Tokens of a text, without blanks and boundaries.

        Raises:
            UserError: Characters cannot be spoken and ``unknown`` is ``stop``.
        """

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, blanks and boundaries included as configured.

        Raises:
            UserError: There is nothing to say in it, or characters that cannot be spoken.
        """
        spoken = self.symbols(text)
        if not any(self.is_spoken(symbol) for symbol in spoken):
            raise UserError(
                f"the text {text[:40]!r} has nothing to say in it", hint="it needs a word at least"
            )
        return self.wrap([self._ids[symbol] for symbol in spoken])

    def is_spoken(self, symbol: str) -> bool:
        """Whether a token is a sound rather than a mark or a space."""
        return symbol not in (SPACE, BLANK, UNKNOWN, BOUNDARY) and symbol not in self.config.punctuation

    def wrap(self, ids: Sequence[int]) -> list[int]:
        """Ids of plain tokens with boundaries and blanks."""
        found = [self.sos_id, *ids, self.eos_id] if self.config.boundaries else [*ids]
        if self.config.blank == "none":
            return found
        return [self.blank_id, *(entry for index in found for entry in (index, self.blank_id))]

    def unwrap(self, ids: Iterable[int]) -> list[int]:
        """Plain tokens of :meth:`wrap`'s result."""
        return [index for index in ids if index not in (self.blank_id, self.sos_id)]

    def decode(self, ids: Sequence[int]) -> str:
        """Tokens of ids, separated by blanks; special tokens are left out."""
        return " ".join(self.tokens[index] for index in self.unwrap(ids))

    def train(self, texts: Iterable[str]) -> None:
        """Nothing is learnt; a text that cannot be spoken is found before training rather than in it.

        Raises:
            UserError: There are no texts, or characters that cannot be spoken.
        """
        count = 0
        for count, text in enumerate(texts, 1):  # noqa: B007 - the count is what is wanted
            self.symbols(text)
        if not count:
            raise UserError("the training texts are empty", hint="check the texts of dataset.train")

    def save(self, directory: Path) -> None:
        """Write the inventory and what else decides the tokens."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / TOKENS_FILE).write_text("\n".join(self.tokens) + "\n", encoding="utf-8", newline="\n")
        facts = {"frontend": type(self).__name__, "version": self.version, **self.facts()}
        (directory / FACTS_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    def facts(self) -> dict[str, Any]:
        """What else must be equal for texts to get the same tokens."""
        return {}

    def load(self, directory: Path) -> None:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: It is missing, is another frontend's, or was made by another version of the rules.
        """
        try:
            tokens = (directory / TOKENS_FILE).read_text("utf-8").removesuffix("\n").split("\n")
            facts = json.loads((directory / FACTS_FILE).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{directory}: no text frontend here ({error})",
                hint="run the stage train_tokenizer, or give another folder",
            ) from None
        wanted = {"frontend": type(self).__name__, "version": self.version, **self.facts()}
        for key, value in wanted.items():
            if facts.get(key) != value:
                raise UserError(
                    f"{directory / FACTS_FILE}: {key} is {facts.get(key)!r}, and here it is {value!r}: texts "
                    "would get other tokens than in training",
                    hint="install the version of espnet3-tts that the model was made with, or train again",
                )
        if not self.accept(tokens):
            raise UserError(
                f"{directory / TOKENS_FILE}: these are not the tokens of {type(self).__name__} as configured",
                hint="train again, or give the configuration that it was trained with",
            )

    def accept(self, tokens: Sequence[str]) -> bool:
        """Whether saved tokens are this frontend's as configured; one that learns them takes them over."""
        return tuple(tokens) == self.tokens

    def parts(self, text: str) -> Iterator[str]:
        """Words and kept marks of a text that :func:`speakable` made."""
        text = _DASH.sub(",", text)
        mark = ""
        for match in _WORD_OR_MARK.finditer(text):
            part = match[0]
            if part[0].isalpha() or part[0] == "'":
                word = part if part.lower() in _CLIPPED else part.strip("'")
                if not word:
                    continue
                if mark:
                    yield mark
                    mark = ""
                yield word
            elif part in self.config.punctuation:
                mark = part
        if mark:
            yield mark
