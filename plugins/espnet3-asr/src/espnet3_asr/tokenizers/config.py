"""Configuration of the tokenizers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(kw_only=True)
class TextTokenizerConfig:
    """What tokenizers with a learnt vocabulary share."""

    unicode: Literal["nfc", "nfkc", "none"] = "nfc"
    """Unicode normalization before anything else; white space is collapsed to single spaces always."""
    user_symbols: list[str] = field(default_factory=list)
    """Symbols that are one token wherever they occur: ``<noise>``."""


@dataclass(kw_only=True)
class CharTokenizerConfig(TextTokenizerConfig):
    """One token per character."""

    character_coverage: float = 1.0
    """Share of the text's characters that get a token, most frequent first; the others are unknown."""


@dataclass(kw_only=True)
class WordTokenizerConfig(TextTokenizerConfig):
    """One token per word."""

    vocab_size: int | None = None
    """Most tokens, special ones included; the most frequent words stay. None keeps all words."""
    min_count: int = 1
    """Rarer words are unknown."""


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


@dataclass(kw_only=True)
class BpeTokenizerConfig(SubwordTokenizerConfig):
    """SentencePiece byte-pair encoding (Sennrich et al. 2016, https://aclanthology.org/P16-1162)."""


@dataclass(kw_only=True)
class UnigramTokenizerConfig(SubwordTokenizerConfig):
    """SentencePiece unigram language model (Kudo 2018, https://aclanthology.org/P18-1007)."""
