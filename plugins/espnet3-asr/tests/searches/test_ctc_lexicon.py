from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from espnet3_asr.searches.config import CTCLexiconConfig
from espnet3_asr.searches.ctc_greedy import collapse
from espnet3_asr.searches.ctc_lexicon import CTCLexicon, WordLoop
from espnet3_asr.tokenizers.config import LexiconTokenizerConfig
from espnet3_asr.tokenizers.lexicon import LexiconTokenizer
from espnet3_core.errors import UserError

LETTERS = {"aa": "a a", "ab": "a b", "cba": "c b a", "h": "h"}


def spelled(ids: tuple[int, ...], words: list[tuple[int, ...]]) -> bool:
    return not ids or any(
        ids[: len(word)] == word and spelled(ids[len(word) :], words) for word in words if word
    )


@pytest.mark.parametrize("words", [[(1, 1), (1, 2)], [(3, 2, 1), (1,)], [(2, 1, 2), (2,), (3, 3)]])
def test_finds_the_best_of_all_paths_that_spell_words(words: list[tuple[int, ...]]) -> None:
    generator = torch.Generator().manual_seed(len(words))
    ctc = (3 * torch.randn(6, 5, 4, generator=generator)).log_softmax(-1)
    lengths = [5, 4, 5, 1, 0, 5]
    found = WordLoop(words).best_paths(ctc, lengths)
    for row, (count, (path, score)) in enumerate(zip(lengths, found, strict=True)):
        legal = [
            sum(ctc[row, frame, token].item() for frame, token in enumerate(candidate))
            for candidate in itertools.product(range(4), repeat=count)
            if spelled(tuple(token for token, _ in itertools.groupby(candidate) if token), words)
        ]
        assert score == pytest.approx(max(legal), abs=1e-5)
        assert score == pytest.approx(
            sum(ctc[row, i, token].item() for i, token in enumerate(path)), abs=1e-5
        )
        assert spelled(tuple(collapse(path)[0]), words)


def lexicon(tokens: Any) -> LexiconTokenizer:
    tokenizer = LexiconTokenizer(LexiconTokenizerConfig(words=LETTERS))
    tokenizer._set_tokens([token for token in tokens if not token.startswith("<") or token == "<space>"])
    return tokenizer


def test_results_have_words_only_with_their_times(make_ctc: Any, make_batch: Any, letters: Any) -> None:
    tokenizer = lexicon(letters.tokens)
    search = CTCLexicon(CTCLexiconConfig(), model=make_ctc(), tokenizer=tokenizer)
    batch = make_batch([1.0, 0.6])
    results = search.infer(batch)
    assert any(found["text"] for found in results)
    for row, found in enumerate(results):
        assert set(found["text"].split()) <= set(LETTERS)
        assert [word["word"] for word in found["words"]] == found["text"].split()
        assert [unit for word in found["text"].split() for unit in LETTERS[word].split()] == found["tokens"]
        if found["words"]:
            assert found["words"][0]["start"] == found["token_times"][0]["start"]
            assert found["words"][-1]["end"] == found["token_times"][-1]["end"]
        count = int(batch["speech_lengths"][row])
        alone = {
            "ids": batch["ids"][row : row + 1],
            "speech": batch["speech"][row : row + 1, :count],
            "speech_lengths": batch["speech_lengths"][row : row + 1],
        }
        assert search.infer(alone)[0]["token_times"] == found["token_times"]


def test_needs_a_lexicon(make_ctc: Any, letters: Any) -> None:
    with pytest.raises(UserError, match="needs a tokenizer with a lexicon"):
        CTCLexicon(CTCLexiconConfig(), model=make_ctc(), tokenizer=letters)


def test_priors_divide_posteriors(make_ctc: Any, make_batch: Any, letters: Any) -> None:
    """With the priors taken off by hand the plain search finds the same."""
    tokenizer, batch = lexicon(letters.tokens), make_batch([1.0, 0.6])
    model = make_ctc(ctc_prior=True)
    model.ctc.prior.copy_(torch.rand(model.vocab_size, generator=torch.Generator().manual_seed(1)) ** 6)
    scaled = CTCLexicon(CTCLexiconConfig(prior_scale=0.5), model=model, tokenizer=tokenizer).infer(batch)
    with torch.no_grad():
        model.ctc.head.out.bias -= 0.5 * model.ctc.prior.clamp(min=1e-5).log()
    by_hand = CTCLexicon(CTCLexiconConfig(), model=model, tokenizer=tokenizer).infer(batch)
    assert [found["text"] for found in scaled] == [found["text"] for found in by_hand]
    model = make_ctc(ctc_prior=True)
    plain = CTCLexicon(CTCLexiconConfig(), model=model, tokenizer=tokenizer).infer(batch)
    assert [found["text"] for found in scaled] != [found["text"] for found in plain]


def test_prior_scale_needs_priors_and_a_range(make_ctc: Any, letters: Any) -> None:
    with pytest.raises(UserError, match="prior_scale needs the priors") as caught:
        CTCLexicon(CTCLexiconConfig(prior_scale=0.3), model=make_ctc(), tokenizer=lexicon(letters.tokens))
    assert "model.ctc_prior=true" in str(caught.value.hint)
    with pytest.raises(UserError, match="prior_scale must be from 0 to 1, not 1.5"):
        CTCLexiconConfig(prior_scale=1.5)
