"""What every tokenizer promises: ids, round trips, files, spawned workers."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from espnet3_asr.tokenizers.byte import ByteTokenizer
from espnet3_asr.tokenizers.char import CharTokenizer
from espnet3_asr.tokenizers.config import (
    BpeTokenizerConfig,
    ByteTokenizerConfig,
    CharTokenizerConfig,
    UnigramTokenizerConfig,
    WordTokenizerConfig,
)
from espnet3_asr.tokenizers.subword import BpeTokenizer, UnigramTokenizer
from espnet3_asr.tokenizers.word import WordTokenizer
from espnet3_core.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st

TEXTS = [
    "seven two  one",
    "nine zero four zero",
    "the quick brown fox jumps over the lazy dog",
    "pack my box with five dozen liquor jugs",
    "größe naïve 北京 で ok",
] * 4

MAKERS: dict[str, Callable[..., Any]] = {
    "char": lambda **o: CharTokenizer(CharTokenizerConfig(**o)),
    "word": lambda **o: WordTokenizer(WordTokenizerConfig(**o)),
    "byte": lambda **o: ByteTokenizer(ByteTokenizerConfig(**o)),
    "bpe": lambda **o: BpeTokenizer(BpeTokenizerConfig(**{"vocab_size": 60, **o})),
    "unigram": lambda **o: UnigramTokenizer(UnigramTokenizerConfig(**{"vocab_size": 48, **o})),
}


def trained(kind: str, **options: Any) -> Any:
    tokenizer = MAKERS[kind](**options)
    tokenizer.train(TEXTS)
    return tokenizer


@pytest.mark.parametrize("kind", MAKERS)
def test_ids_and_round_trip(kind: str) -> None:
    tokenizer = trained(kind)
    assert tokenizer.tokens[0] == "<blank>"
    assert tokenizer.tokens[1] == "<unk>"
    assert tokenizer.sos_id == tokenizer.eos_id == len(tokenizer) - 1
    assert len(set(tokenizer.tokens)) == len(tokenizer)
    for text in TEXTS:
        ids = tokenizer.encode(f"  {text} ")
        assert 0 not in ids
        assert tokenizer.unk_id not in ids
        assert tokenizer.decode(ids) == " ".join(text.split()) == tokenizer.normalize(text)
        assert tokenizer.decode(
            [0, tokenizer.sos_id, *ids, tokenizer.unk_id, tokenizer.eos_id]
        ) == tokenizer.decode(ids)
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("kind", MAKERS)
def test_save_load_and_pickle(kind: str, tmp_path: Path) -> None:
    tokenizer = trained(kind)
    tokenizer.save(tmp_path / "a")
    trained(kind).save(tmp_path / "b")
    for file in sorted((tmp_path / "a").iterdir()):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), "training is not deterministic"
    loaded = MAKERS[kind]()
    loaded.load(tmp_path / "a")
    copy = pickle.loads(pickle.dumps(loaded))
    for text in TEXTS:
        assert tokenizer.encode(text) == loaded.encode(text) == copy.encode(text)
    assert loaded.tokens == tokenizer.tokens == copy.tokens


def test_works_in_a_spawned_process() -> None:
    tokenizer = trained("bpe")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_call_encode, (pickle.dumps(tokenizer), TEXTS[0])) == tokenizer.encode(TEXTS[0])


def _call_encode(pickled: bytes, text: str) -> list[int]:
    return pickle.loads(pickled).encode(text)


@pytest.mark.parametrize("kind", ["char", "word", "bpe", "unigram"])
def test_unknown_symbols(kind: str) -> None:
    tokenizer = trained(kind)
    assert tokenizer.unk_id in tokenizer.encode("two ж two")
    assert "ж" not in tokenizer.decode(tokenizer.encode("two ж two"))


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_bytes_write_every_text(text: str) -> None:
    tokenizer = trained("byte")
    assert len(tokenizer) == 259
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert tokenizer.decode(tokenizer.encode(text)) == tokenizer.normalize(text)


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    tokenizer = trained("byte")
    assert tokenizer.decode([2 + 0xE5, 2 + ord("a")]) == "\ufffda"


def test_char_has_a_space_token_and_coverage() -> None:
    tokenizer = trained("char")
    assert [tokenizer.tokens[i] for i in tokenizer.encode("a b")] == ["a", "<space>", "b"]
    few = CharTokenizer(CharTokenizerConfig(character_coverage=0.9))
    few.train(["a" * 90, "b" * 8, "cd"])
    assert few.tokens == ("<blank>", "<unk>", "<space>", "a", "<sos/eos>")
    everything = CharTokenizer(CharTokenizerConfig())
    everything.train(["a" * 90, "b" * 8, "cd"])
    assert everything.tokens[3:-1] == ("a", "b", "c", "d")


def test_char_composes_unicode() -> None:
    tokenizer = CharTokenizer(CharTokenizerConfig())
    tokenizer.train(["\u00e9"])
    assert tokenizer.encode("e\u0301") == [3]
    assert tokenizer.decode([3]) == "\u00e9"


@pytest.mark.parametrize("kind", ["char", "bpe", "unigram"])
def test_user_symbols_are_one_token(kind: str) -> None:
    tokenizer = trained(kind, user_symbols=["<noise>"])
    symbol = tokenizer.tokens.index("<noise>")
    ids = tokenizer.encode("two <noise> one")
    assert ids.count(symbol) == 1
    assert tokenizer.decode(ids) == "two <noise> one"


def test_word_vocabulary_is_limited() -> None:
    tokenizer = WordTokenizer(WordTokenizerConfig(vocab_size=5, min_count=2))
    tokenizer.train(["b b b a a c c d"])
    assert tokenizer.tokens == ("<blank>", "<unk>", "a", "b", "<sos/eos>")
    assert tokenizer.encode("a c b <blank> <sos/eos>") == [2, 1, 3, 1, 1]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_subword_size_and_agreement_with_sentencepiece(kind: str, tmp_path: Path) -> None:
    tokenizer = trained(kind)
    assert len(tokenizer) == {"bpe": 60, "unigram": 48}[kind]
    tokenizer.save(tmp_path)
    own = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sentencepiece.model"))
    for text in TEXTS:
        assert [tokenizer.tokens[i] for i in tokenizer.encode(text)] == own.encode(text, out_type=str)


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_impossible_vocabulary_sizes_name_the_limit(kind: str) -> None:
    with pytest.raises(UserError, match=r"vocab_size 5000 is too large .*: (\d+) is the maximum") as caught:
        trained(kind, vocab_size=5000)
    limit = int(caught.value.message.split(": ")[-1].split()[0])
    assert len(trained(kind, vocab_size=limit)) == limit
    with pytest.raises(UserError, match=r"too small: the characters of the training text need (\d+)"):
        trained(kind, vocab_size=8)


def test_subword_keeps_long_sentences() -> None:
    tokenizer = BpeTokenizer(BpeTokenizerConfig(vocab_size=9))
    tokenizer.train(["a b", "xy " * 4000])
    assert tokenizer.unk_id not in tokenizer.encode("xy")


@pytest.mark.parametrize("kind", ["char", "word", "bpe", "unigram"])
def test_mistakes(kind: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"training text"):
        MAKERS[kind]().train(["", "  "])
    with pytest.raises(UserError, match="no vocabulary yet"):
        MAKERS[kind]().encode("a")
    with pytest.raises(UserError, match="no tokenizer here"):
        MAKERS[kind]().load(tmp_path)
    with pytest.raises(UserError, match="white space"):
        MAKERS[kind](user_symbols=["a b"])
    tokenizer = trained(kind)
    with pytest.raises(UserError, match="outside of the vocabulary"):
        tokenizer.decode([len(tokenizer)])
    (tmp_path / "tokens.txt").write_text("a\nb\n")
    (tmp_path / "sentencepiece.model").write_bytes(b"rubbish")
    with pytest.raises(UserError, match="is not a"):
        MAKERS[kind]().load(tmp_path)
