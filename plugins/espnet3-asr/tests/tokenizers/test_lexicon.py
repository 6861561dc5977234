from __future__ import annotations

from pathlib import Path

import pytest
from espnet3_asr.tokenizers.config import LexiconTokenizerConfig
from espnet3_asr.tokenizers.lexicon import LexiconTokenizer
from espnet3_core.errors import UserError

WORDS = {"six": "s ih k s", "sick": "s ih k", "two": "t uw", "too": "t uw", "tool": "t uw l"}


def trained(words: dict[str, str] = WORDS, text: str = "six sick two") -> LexiconTokenizer:
    tokenizer = LexiconTokenizer(LexiconTokenizerConfig(words=words))
    tokenizer.train([text])
    return tokenizer


def test_words_share_their_units() -> None:
    tokenizer = trained()
    assert tokenizer.tokens == ("<blank>", "<unk>", "ih", "k", "l", "s", "t", "uw", "<sos/eos>")
    assert tokenizer.to_tokens(tokenizer.encode("two  six")) == ["t", "uw", "s", "ih", "k", "s"]
    assert tokenizer.encode("three") == [tokenizer.unk_id]
    assert tokenizer.spellings == {"six": (5, 2, 3, 5), "sick": (5, 2, 3), "two": (6, 7), "tool": (6, 7, 4)}


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ("", ""),
        ("t uw", "two"),  # the first of the words that are spelled so
        ("s ih k s ih k", "sick sick"),  # "six" would leave "ih k"
        ("s ih k s s ih k", "six sick"),
        ("t uw l t uw", "tool two"),
        ("s ih t uw k k", "<unk> two <unk>"),
        ("t", "<unk>"),
    ],
)
def test_decode_finds_the_words(units: str, text: str) -> None:
    tokenizer = trained()
    ids = [tokenizer.tokens.index(unit) for unit in units.split()]
    assert tokenizer.decode(ids) == text


def test_save_and_load(tmp_path: Path) -> None:
    tokenizer = trained()
    tokenizer.save(tmp_path)
    other = LexiconTokenizer(LexiconTokenizerConfig(words=WORDS))
    with pytest.raises(UserError, match="no vocabulary"):
        other.encode("six")
    other.load(tmp_path)
    assert other.spellings == tokenizer.spellings
    assert other.decode(other.encode("tool six sick")) == "tool six sick"


def test_mistakes_are_told() -> None:
    with pytest.raises(UserError, match="2 words of the training text are not in the lexicon: five, three"):
        trained(text="six three five")
    for words, told in (({}, "empty"), ({"a b": "x"}, "white space"), ({"a": " "}, "no units")):
        with pytest.raises(UserError, match=told):
            LexiconTokenizerConfig(words=words)
    with pytest.raises(UserError, match="special token <blank>"):
        LexiconTokenizerConfig(words={"a": "x <blank>"})
