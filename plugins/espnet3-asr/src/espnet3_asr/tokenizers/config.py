"""Configuration of the tokenizers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from espnet3_core.errors import UserError

BLANK = "<blank>"
UNKNOWN = "<unk>"
BOUNDARY = "<sos/eos>"
SPACE = "<space>"
SPECIAL_TOKENS = 3
"""Blank, unknown token and sentence boundary."""


def check_user_symbols(symbols: list[str]) -> None:
    """Refuse symbols that cannot be tokens.

    Raises:
        UserError: A symbol is empty, has white space in it, occurs twice, or is a special token.
    """
    for symbol in symbols:
        if not symbol or symbol.split() != [symbol]:
            raise UserError(f"user_symbols: {symbol!r} is empty or has white space in it")
        if symbol in (BLANK, UNKNOWN, BOUNDARY, SPACE):
            raise UserError(f"user_symbols: {symbol!r} is one of the tokenizer's own tokens")
    if len(set(symbols)) != len(symbols):
        raise UserError(f"user_symbols: a symbol occurs twice in {symbols}")


def check_coverage(share: float) -> None:
    """Refuse what is no share of characters.

    Raises:
        UserError: It is not above 0 and up to 1.
    """
    if not 0 < share <= 1:
        raise UserError(f"character_coverage is a share above 0 and up to 1, not {share}")


@dataclass(kw_only=True)
class TextTokenizerConfig:
    """What tokenizers with a learnt vocabulary share."""

    unicode: Literal["nfc", "nfkc", "none"] = "nfc"
    """Unicode normalization before anything else; white space is collapsed to single spaces always."""
    user_symbols: list[str] = field(default_factory=list)
    """Symbols that are one token wherever they occur: ``<noise>``."""

    def __post_init__(self) -> None:
        check_user_symbols(self.user_symbols)


@dataclass(kw_only=True)
class CharTokenizerConfig(TextTokenizerConfig):
    """One token per character."""

    character_coverage: float = 1.0
    """Share of the text's characters that get a token, most frequent first; the others are unknown."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_coverage(self.character_coverage)


@dataclass(kw_only=True)
class WordTokenizerConfig(TextTokenizerConfig):
    """One token per word."""

    vocab_size: int | None = None
    """Most tokens, special ones included; the most frequent words stay. None keeps all words."""
    min_count: int = 1
    """Rarer words are unknown."""

    def __post_init__(self) -> None:
        super().__post_init__()
        least = SPECIAL_TOKENS + len(self.user_symbols) + 1
        if self.vocab_size is not None and self.vocab_size < least:
            raise UserError(f"vocab_size is {self.vocab_size}, but one word already needs {least}")


@dataclass(kw_only=True)
class ByteTokenizerConfig:
    """UTF-8 bytes."""

    unicode: Literal["nfc", "nfkc", "none"] = "nfc"
    """Unicode normalization before encoding; white space is collapsed to single spaces always."""


@dataclass(kw_only=True)
class SubwordTokenizerConfig:
    """What the SentencePiece tokenizers share."""

    vocab_size: int
    """Number of tokens, with the blank, the unknown token and the sentence boundary."""
    character_coverage: float = 1.0
    """Share of the text's characters that the pieces can spell; 0.9995 suits Chinese and Japanese."""
    user_symbols: list[str] = field(default_factory=list)
    """Symbols that are one token wherever they occur: ``<noise>``."""
    normalization: Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = "nmt_nfkc"
    """SentencePiece's normalization rule; the ``_cf`` rules fold case."""
    byte_fallback: bool = False
    """Spell unknown characters in UTF-8 bytes (256 tokens more) in place of the unknown token."""
    sample_sentences: int = 0
    """Train on so many sentences drawn at random (with a fixed seed); 0 uses all."""

    def __post_init__(self) -> None:
        check_user_symbols(self.user_symbols)
        check_coverage(self.character_coverage)
        if self.vocab_size <= SPECIAL_TOKENS:
            raise UserError(f"vocab_size is {self.vocab_size}; the special tokens alone are {SPECIAL_TOKENS}")


@dataclass(kw_only=True)
class BpeTokenizerConfig(SubwordTokenizerConfig):
    """SentencePiece byte-pair encoding (Sennrich et al. 2016, https://aclanthology.org/P16-1162)."""


@dataclass(kw_only=True)
class UnigramTokenizerConfig(SubwordTokenizerConfig):
    """SentencePiece unigram language model (Kudo 2018, https://aclanthology.org/P18-1007)."""


@dataclass(kw_only=True)
class LexiconTokenizerConfig:
    """Words spelled in units of sound."""

    words: dict[str, str]
    """Each word and its units, separated by white space: ``six: s ih k s``. Other words are refused in
    training. Of words with the same units the first is written."""
    unicode: Literal["nfc", "nfkc", "none"] = "nfc"
    """Unicode normalization of texts; white space is collapsed to single spaces always."""

    def __post_init__(self) -> None:
        if not self.words:
            raise UserError("words: the lexicon is empty")
        for word, units in self.words.items():
            if word.split() != [word]:
                raise UserError(f"words: {word!r} is empty or has white space in it")
            if not units.split():
                raise UserError(f"words: {word!r} has no units")
            if taken := {BLANK, UNKNOWN, BOUNDARY} & {word, *units.split()}:
                raise UserError(f"words: {word!r} uses the special token {min(taken)}")
