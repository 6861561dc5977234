"""Records of the tokenizers."""

from __future__ import annotations

from espnet3_core.specs import TokenizerSpec

_CONFIG = "espnet3_asr.tokenizers.config"

TOKENIZERS = (
    TokenizerSpec(
        name="asr/char",
        target="espnet3_asr.tokenizers.char:CharTokenizer",
        config=f"{_CONFIG}:CharTokenizerConfig",
        summary="One token per character, with a token for the space",
        tasks=("asr",),
    ),
    TokenizerSpec(
        name="asr/word",
        target="espnet3_asr.tokenizers.word:WordTokenizer",
        config=f"{_CONFIG}:WordTokenizerConfig",
        summary="One token per word",
        tasks=("asr",),
    ),
    TokenizerSpec(
        name="asr/lexicon",
        target="espnet3_asr.tokenizers.lexicon:LexiconTokenizer",
        config=f"{_CONFIG}:LexiconTokenizerConfig",
        summary="Units of a pronunciation lexicon, such as phones",
        tasks=("asr",),
    ),
    TokenizerSpec(
        name="asr/byte",
        target="espnet3_asr.tokenizers.byte:ByteTokenizer",
        config=f"{_CONFIG}:ByteTokenizerConfig",
        summary="UTF-8 bytes: no training, no unknown symbols",
        tasks=("asr",),
    ),
    TokenizerSpec(
        name="asr/bpe",
        target="espnet3_asr.tokenizers.subword:BpeTokenizer",
        config=f"{_CONFIG}:BpeTokenizerConfig",
        summary="SentencePiece byte-pair encoding",
        tasks=("asr",),
    ),
    TokenizerSpec(
        name="asr/unigram",
        target="espnet3_asr.tokenizers.subword:UnigramTokenizer",
        config=f"{_CONFIG}:UnigramTokenizerConfig",
        summary="SentencePiece unigram language model",
        tasks=("asr",),
    ),
)
