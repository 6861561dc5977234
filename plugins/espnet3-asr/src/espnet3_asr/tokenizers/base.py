"""What all tokenizers share: the special tokens, their ids, and the vocabulary file."""

from __future__ import annotations

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

from espnet3_core.errors import UserError

from espnet3_asr.tokenizers.config import BLANK, BOUNDARY, UNKNOWN

TOKENS_FILE = "tokens.txt"


def normalize_text(text: str, form: str) -> str:
    """Unicode normalization ``form`` (``none`` for none), then white space collapsed and stripped."""
    if form != "none":
        text = unicodedata.normalize(form.upper(), text)  # type: ignore[arg-type]
    return " ".join(text.split())


class BaseTokenizer(ABC):
    """A vocabulary with id 0 the CTC blank, 1 the unknown token, and last the sentence boundary.

    Attributes:
        tokens: The vocabulary in order of ids; empty before ``train`` or ``load``.
    """

    blank_id = 0
    unk_id = 1
    trainable = True

    def __init__(self) -> None:
        self.tokens: tuple[str, ...] = ()
        self._ids: dict[str, int] = {}

    @property
    def sos_id(self) -> int:
        """Id of the token that starts a sentence."""
        return len(self.tokens) - 1

    @property
    def eos_id(self) -> int:
        """Id of the token that ends a sentence; the same as ``sos_id``."""
        return len(self.tokens) - 1

    def __len__(self) -> int:
        return len(self.tokens)

    @abstractmethod
    def normalize(self, text: str) -> str:
        """The text as the tokenizer sees it; ``decode(encode(text))`` gives it back."""

    @abstractmethod
    def train(self, texts: Iterable[str]) -> None:
        """Learn the vocabulary from texts.

        Raises:
            UserError: There is no text, or the vocabulary cannot have the size wanted.
        """

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Token ids of a text; without sentence boundaries."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids; blank, unknown and boundary are left out.

        Raises:
            UserError: An id is outside of the vocabulary.
        """

    def to_tokens(self, ids: Sequence[int]) -> list[str]:
        """The tokens of ids, as the vocabulary spells them."""
        return [self.tokens[index] for index in self._checked(ids)]

    def save(self, directory: Path) -> None:
        """Write ``tokens.txt``, one token per line, in order of ids."""
        self._require_ready()
        directory.mkdir(parents=True, exist_ok=True)
        (directory / TOKENS_FILE).write_text("\n".join(self.tokens) + "\n", encoding="utf-8", newline="\n")

    def load(self, directory: Path) -> None:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: A file is missing or is not a vocabulary.
        """
        path = directory / TOKENS_FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(
                f"{path}: no tokenizer here", hint="run the stage train_tokenizer, or give another folder"
            ) from None
        except UnicodeDecodeError as error:
            raise UserError(
                f"{path}: is not UTF-8 text ({error})",
                hint="train the tokenizer again: --stages train_tokenizer --force",
            ) from None
        # Not splitlines(): U+2028 and the like are tokens.
        tokens = text.removesuffix("\n").split("\n")
        if tokens[:2] != [BLANK, UNKNOWN] or tokens[-1] != BOUNDARY:
            raise UserError(
                f"{path}: is not a vocabulary: it starts with {BLANK} and {UNKNOWN} and ends with {BOUNDARY}",
                hint="train the tokenizer again",
            )
        self._set_tokens(tokens[2:-1], place=str(path))

    def _set_tokens(self, tokens: Iterable[str], *, place: str = "tokenizer") -> None:
        self.tokens = (BLANK, UNKNOWN, *tokens, BOUNDARY)
        self._ids = {token: index for index, token in enumerate(self.tokens)}
        if len(self._ids) != len(self.tokens):
            seen: set[str] = set()
            twice = sorted({token for token in self.tokens if token in seen or seen.add(token)})  # type: ignore[func-returns-value]
            raise UserError(
                f"{place}: tokens occur twice: {', '.join(map(repr, twice[:5]))}",
                hint="train the tokenizer again: --stages train_tokenizer --force",
            )

    def _add(self, tokens: Iterable[str]) -> None:
        """Put new tokens before the sentence boundary."""
        self._require_ready()
        self._set_tokens([*self.tokens[2:-1], *(token for token in tokens if token not in self._ids)])

    def _require_ready(self) -> None:
        if not self.tokens:
            raise UserError(
                f"the tokenizer {type(self).__name__} has no vocabulary yet",
                hint="run the stage train_tokenizer first",
            )

    def _checked(self, ids: Sequence[int]) -> Sequence[int]:
        for index in ids:
            if not 0 <= index < len(self.tokens):
                raise UserError(
                    f"token id {index} is outside of the vocabulary of {len(self.tokens)} tokens",
                    hint="the model and the tokenizer do not belong together: take both from one experiment",
                )
        return ids

    def _plain(self, ids: Sequence[int]) -> list[int]:
        special = (self.blank_id, self.unk_id, self.eos_id)
        return [index for index in self._checked(ids) if index not in special]


def symbol_pattern(symbols: Sequence[str]) -> re.Pattern[str] | None:
    """A pattern with one group that finds ``symbols``, longest first; None for no symbols."""
    if not symbols:
        return None
    ordered = sorted(symbols, key=len, reverse=True)
    return re.compile("(" + "|".join(map(re.escape, ordered)) + ")")
