"""Searches with unlimited beams against enumeration of all texts, and CTC scores against torch's likelihood.

The references know nothing of beams, prefixes or caches: every text over a toy vocabulary is scored on its
own, CTC by ``torch.nn.functional.ctc_loss`` in float64.
"""

from __future__ import annotations

import itertools
import math
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from espnet3_asr.alignment import forced_align
from espnet3_asr.searches.config import CTCGreedyConfig, CTCPrefixBeamConfig, JointBeamConfig
from espnet3_asr.searches.ctc_greedy import CTCGreedy
from espnet3_asr.searches.ctc_prefix_beam import CTCPrefixBeam
from espnet3_asr.searches.ctc_prefix_scorer import CTCPrefixScorer
from espnet3_asr.searches.encoding import Utterances
from espnet3_asr.searches.joint_beam import JointBeam
from espnet3_asr.searches.timestamps import results
from espnet3_core.catalog import current_catalog, use_catalog
from espnet3_core.component import Component, Slot
from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import ModuleSpec
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

EVERYTHING = 10_000
"""More hypotheses than there are texts."""

Text = tuple[int, ...]


@dataclass(kw_only=True)
class ToyScorerConfig:
    """Options of the toy language model."""

    weight: float = 0.5
    seed: int = 0


class ToyScorer:
    """A language model over the whole text; its state is that text, so that a wrong order shows."""

    def __init__(self, config: ToyScorerConfig, *, vocab_size: int) -> None:
        generator = torch.Generator().manual_seed(config.seed)
        self.table = torch.randn(vocab_size, vocab_size, generator=generator, dtype=torch.float64)
        self.weight = config.weight

    def start(self, utterances: Any) -> torch.Tensor:
        return torch.zeros(len(utterances.frames), 0, dtype=torch.long)

    def score(self, tokens: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        state = torch.cat([state, tokens.unsqueeze(1)], 1)
        return torch.stack([self.next(tuple(row)) for row in state.tolist()]), state

    def reorder(self, state: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return state[index]

    def next(self, text: Text) -> torch.Tensor:
        """Log-probabilities of what follows a text that begins with the start token."""
        recent = sum(self.table[token] * 0.6**age for age, token in enumerate(reversed(text)))
        return torch.as_tensor(recent).log_softmax(-1)

    def whole(self, text: Text, boundary: int) -> float:
        """Log-probability of a text and its end."""
        path = (boundary, *text, boundary)
        return sum(float(self.next(path[:place])[path[place]]) for place in range(1, len(path)))


class ToyDecoder(torch.nn.Module):
    """The same as an attention decoder, which begins with encoder output."""

    def __init__(self, size: int, seed: int) -> None:
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))
        self.scorer = ToyScorer(ToyScorerConfig(seed=seed), vocab_size=size)
        self.reorder = self.scorer.reorder

    def start(self, memory: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(memory), 0, dtype=torch.long)

    def step(self, tokens: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.scorer.score(tokens, state)


class ToyTokens:
    """``<blank> a b … <sos/eos>``; ``b`` separates words, whose times differ from those of tokens."""

    def __init__(self, size: int) -> None:
        self.tokens = ["<blank>", *"abcdefgh"[: size - 2], "<sos/eos>"]
        self.eos_id = size - 1

    def __len__(self) -> int:
        return len(self.tokens)

    def decode(self, ids: Any) -> str:
        return "".join(self.tokens[index] for index in ids).replace("b", " ").strip()


@pytest.fixture(scope="module", autouse=True)
def _toy_plugin() -> Iterator[None]:
    """The language model is registered by a plugin, and chosen by name as in a recipe."""
    record = ModuleSpec(
        name="toy/language_model",
        role="scorer",
        target="toy_language_model:ToyScorer",
        config="toy_language_model:ToyScorerConfig",
        summary="Toy",
    )
    module: Any = types.ModuleType("toy_language_model")
    module.ToyScorer, module.ToyScorerConfig = ToyScorer, ToyScorerConfig
    module.espnet3_modules = hookimpl(lambda: (record,))
    sys.modules[module.__name__] = module
    with use_catalog(current_catalog().with_plugin("toy", module)):
        yield
    del sys.modules[module.__name__]


def outputs(seed: int, frames: int, size: int, rows: int = 1, sharp: float = 1.5) -> torch.Tensor:
    """Random CTC log-probabilities ``(rows, frames, size)`` in float64; the last token never is CTC's."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, frames, size, generator=generator, dtype=torch.float64) * sharp
    logits[:, :, -1] = -torch.inf
    return logits.log_softmax(-1)


def utterances(log_probs: torch.Tensor, lengths: list[int]) -> Utterances:
    """An encoded batch with these outputs, 40 ms per frame."""
    memory = torch.zeros(*log_probs.shape[:2], 2, dtype=log_probs.dtype)
    return Utterances(
        memory, torch.tensor(lengths), lengths, [0.04 * count for count in lengths], 0.04, log_probs
    )


def texts(size: int, longest: int) -> list[Text]:
    """All texts of up to so many tokens."""
    return [
        text for length in range(longest + 1) for text in itertools.product(range(1, size - 1), repeat=length)
    ]


def ctc(log_probs: torch.Tensor, text: Text) -> float:
    """Torch's log-likelihood of a text given ``(frames, vocabulary)``."""
    frames = len(log_probs)
    if not frames:
        return -math.inf if text else 0.0
    loss = functional.ctc_loss(
        log_probs.unsqueeze(1), torch.tensor([text or ()], dtype=torch.long).view(1, -1),
        torch.tensor([frames]), torch.tensor([len(text)]), reduction="none",
    )  # fmt: skip
    return -float(loss)


def scored(log_probs: torch.Tensor, config: JointBeamConfig, search: JointBeam) -> dict[Text, float]:
    """Every text's score from its definition."""
    size, frames = log_probs.shape[1], len(log_probs)
    limit = -int(config.max_length_ratio) if config.max_length_ratio else frames
    found = {}
    for text in texts(size, min(limit, frames) if config.ctc_weight else limit if frames else 0):
        score = config.length_bonus * len(text)
        if config.ctc_weight:
            score += config.ctc_weight * ctc(log_probs, text)
        for scorer in search.scorers:
            model = getattr(scorer, "decoder", SimpleNamespace(scorer=scorer)).scorer
            score += scorer.weight * model.whole(text, size - 1)
        if score > -math.inf:
            found[text] = score
    return found


def best(scores: dict[Text, float]) -> list[tuple[Text, float]]:
    """Texts and scores, best first."""
    return sorted(scores.items(), key=lambda entry: -entry[1])


def agree(
    found: list[tuple[list[int], float]], expected: list[tuple[Text, float]], bar: float = 1e-9
) -> None:
    """The same texts in the same order with the same scores."""
    assert [score for _, score in found] == pytest.approx([score for _, score in expected], abs=bar)
    for (ids, score), (text, _) in zip(found, expected, strict=True):
        if tuple(ids) != text:  # only of two equally good ones may either come first
            assert dict(expected)[tuple(ids)] == pytest.approx(score, abs=bar)


LANGUAGE_MODELS = [
    [],
    [{"name": "toy/language_model", "weight": 0.6, "seed": 5}],
    [{"name": "toy/language_model", "weight": 0.3, "seed": 5}, {"name": "toy/language_model", "seed": 6}],
]


def joint(size: int, seed: int, models: list[dict[str, Any]], **options: Any) -> JointBeam:
    """A joint search that prunes nothing."""
    config = JointBeamConfig(
        beam_size=EVERYTHING, nbest=EVERYTHING, pre_beam=None, end_detection=False, **options
    )
    config.scorers = [Component.from_node(node, Slot("module", "scorer")) for node in models]
    model = SimpleNamespace(eval=lambda: model, decoder=ToyDecoder(size, seed))
    return JointBeam(config, model=model, tokenizer=ToyTokens(size), device="cpu")


@pytest.mark.parametrize("models", LANGUAGE_MODELS, ids=len)
@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
@settings(max_examples=5, deadline=None)
@given(
    seed=st.integers(0, 1000),
    lengths=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    bonus=st.sampled_from([0.0, 0.9, -0.7]),
    limit=st.sampled_from([0.0, -2.0]),
)
def test_an_unlimited_joint_beam_is_exhaustive(
    models: Any, weight: float, seed: int, lengths: list[int], bonus: float, limit: float
) -> None:
    """Attention alone, CTC alone, both; each without, with one and with two language models."""
    log_probs = outputs(seed, max(*lengths, 1), 4, len(lengths))
    search = joint(4, seed, models, ctc_weight=weight, length_bonus=bonus, max_length_ratio=limit)
    found = search.search(utterances(log_probs, lengths))
    for row, frames in enumerate(lengths):
        agree(found[row], best(scored(log_probs[row, :frames], search.config, search)))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    size=st.integers(3, 5),
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=3),
    sharp=st.sampled_from([0.3, 1.5, 8.0]),
)
def test_an_unlimited_prefix_beam_is_exhaustive(
    seed: int, size: int, lengths: list[int], sharp: float
) -> None:
    """Every text that the frames can spell, in order of torch's likelihood."""
    log_probs = outputs(seed, max(*lengths, 1), size, len(lengths), sharp)
    config = CTCPrefixBeamConfig(beam_size=400, nbest=400, tokens_per_frame=None)
    model = SimpleNamespace(eval=lambda: None)
    found = CTCPrefixBeam(config, model=model, tokenizer=ToyTokens(size)).search(
        utterances(log_probs, lengths)
    )
    for row, frames in enumerate(lengths):
        likely = {text: ctc(log_probs[row, :frames], text) for text in texts(size, frames)}
        possible = {text: score for text, score in likely.items() if score > -math.inf}
        agree(found[row], best(possible))
        assert math.fsum(math.exp(score) for _, score in found[row]) == pytest.approx(1, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    frames=st.integers(1, 5),
    more=st.integers(0, 3),
    prefix=st.lists(st.integers(1, 2), max_size=4),
    sharp=st.sampled_from([0.3, 1.5, 8.0]),
)
def test_a_prefix_score_is_the_sum_of_the_likelihoods_of_all_texts_that_begin_so(
    seed: int, frames: int, more: int, prefix: list[int], sharp: float
) -> None:
    log_probs = outputs(seed, frames + more, 4, 1, sharp)
    scorer = CTCPrefixScorer(log_probs, torch.tensor([frames]))
    state = scorer.start()
    for token in prefix:
        state = scorer.extend(state, torch.tensor([0]), torch.tensor([token]))
    scores = scorer.score(state)[0]
    likely = {text: ctc(log_probs[0, :frames], text) for text in texts(4, frames)}
    whole = likely.get(tuple(prefix), -math.inf)
    assert scorer.complete(state).item() == pytest.approx(whole, abs=1e-9)
    for token in (1, 2):
        begins = (*prefix, token)
        total = math.fsum(math.exp(score) for text, score in likely.items() if text[: len(begins)] == begins)
        expected = math.log(total) if total else -math.inf
        # Impossible ones have a floor where rounding could make them so.
        assert scores[token].item() == pytest.approx(expected, abs=1e-9) or expected < -500 > scores[token]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    sharp=st.sampled_from([0.3, 2.0]),
)
def test_greedy_is_the_best_of_all_paths(seed: int, lengths: list[int], sharp: float) -> None:
    log_probs = outputs(seed, max(lengths), 4, len(lengths), sharp)
    encoded = utterances(log_probs, lengths)
    for row, found in enumerate(greedy(encoded)):
        score, path = best_path(log_probs[row, : lengths[row]])
        assert found["score"] == pytest.approx(score, abs=1e-9)
        assert found["tokens"] == [ToyTokens(4).tokens[token] for token, _ in groups(path)]
        assert seconds(found) == [span(frames) for _, frames in groups(path)]


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    text=st.lists(st.integers(1, 2), max_size=3),
    sharp=st.sampled_from([0.3, 2.0]),
)
def test_times_are_those_of_the_best_path_of_the_text(
    seed: int, lengths: list[int], text: list[int], sharp: float
) -> None:
    """Tokens and words, against all paths that spell the text."""
    log_probs = outputs(seed, max(lengths), 4, len(lengths), sharp)
    encoded = utterances(log_probs, lengths)
    tokens, counts = torch.tensor([text] * len(lengths)).long(), torch.tensor([len(text)] * len(lengths))
    aligned = forced_align(log_probs, encoded.lengths, tokens.view(len(lengths), -1), counts)
    written = results(ToyTokens(4), encoded, [[(text, 0.0)]] * len(lengths), timestamps=True)
    for row, frames in enumerate(lengths):
        score, path = best_path(log_probs[row, :frames], text)
        assert aligned.scores[row].item() == pytest.approx(score, abs=1e-9)
        if path is None:
            assert "words" not in written[row]
            continue
        runs = groups(path)
        assert seconds(written[row]) == [span(frames) for _, frames in runs]
        words = [
            list(run) for separates, run in itertools.groupby(runs, lambda run: run[0] == 2) if not separates
        ]
        assert [(word["start"], word["end"]) for word in written[row]["words"]] == [
            (span(word[0][1])[0], span(word[-1][1])[1]) for word in words
        ]
        assert [word["word"] for word in written[row]["words"]] == ["a" * len(word) for word in words]


def greedy(encoded: Utterances) -> list[dict[str, Any]]:
    """Greedy results for given outputs."""
    model = SimpleNamespace(
        eval=lambda: model,
        encode=lambda *_: SimpleNamespace(features=encoded.ctc, lengths=encoded.lengths),
        ctc=SimpleNamespace(log_probs=lambda features: features),
        parameters=lambda: iter([encoded.ctc]),
        sample_rate=1000,
        frame_seconds=encoded.frame_seconds,
    )
    batch = {"speech": torch.zeros(len(encoded.frames), 1), "speech_lengths": encoded.lengths * 40}
    return CTCGreedy(CTCGreedyConfig(), model=model, tokenizer=ToyTokens(4)).infer(batch)


def best_path(log_probs: torch.Tensor, text: list[int] | None = None) -> tuple[float, Text | None]:
    """The best of all paths, or of those that spell a text."""
    found: tuple[float, Text | None] = (-math.inf, None)
    table = log_probs.tolist()
    for path in itertools.product(range(log_probs.shape[1] - 1), repeat=len(table)):
        if text is None or [token for token, _ in groups(path)] == text:
            score = math.fsum(row[token] for row, token in zip(table, path, strict=True))
            found = max(found, (score, path), key=lambda pair: pair[0])
    return found


def groups(path: Text) -> list[tuple[int, tuple[int, int]]]:
    """Tokens of a path and the frames of each, end exclusive; blanks left out."""
    found, frame = [], 0
    for token, group in itertools.groupby(path):
        count = len(list(group))
        if token:
            found.append((token, (frame, frame + count)))
        frame += count
    return found


def span(frames: tuple[int, int]) -> tuple[float, float]:
    """Frames in seconds."""
    return round(frames[0] * 0.04, 3), round(frames[1] * 0.04, 3)


def seconds(result: dict[str, Any]) -> list[tuple[float, float]]:
    """Times of a result's tokens."""
    return [(entry["start"], entry["end"]) for entry in result["token_times"]]


def test_a_language_model_is_built_with_what_a_search_provides() -> None:
    search = joint(4, 0, LANGUAGE_MODELS[2], ctc_weight=1.0)
    assert [scorer.weight for scorer in search.scorers] == [0.3, 0.5]
    assert all(type(scorer).__name__ == "ToyScorer" for scorer in search.scorers)
