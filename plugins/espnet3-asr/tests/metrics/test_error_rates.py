"""Error rates against jiwer, a brute-force alignment, and hand-made cases."""

from __future__ import annotations

import itertools
import json
import pickle
import random
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from espnet3_asr.metrics.alignment import count_edits, errors_by_position, show_alignment
from espnet3_asr.metrics.config import CharacterErrorRateConfig, TokenErrorRateConfig, WordErrorRateConfig
from espnet3_asr.metrics.rates import CharacterErrorRate, TokenErrorRate, WordErrorRate
from espnet3_asr.tokenizers.char import CharTokenizer
from espnet3_asr.tokenizers.config import CharTokenizerConfig
from espnet3_core.config.schema import validate
from espnet3_core.errors import CheckFailed, UserError
from espnet3_core.measure.bootstrap import pool, ratio_interval
from espnet3_core.measure.config import IntervalConfig

WORDS = ["one", "two", "three", "four", "five", "six", "seven"]


def random_pairs(count: int, seed: int = 0, most: int = 9) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    pairs = []
    for _ in range(count):
        reference = [rng.choice(WORDS) for _ in range(rng.randint(0, most))]
        hypothesis = [word for word in reference if rng.random() > 0.2]
        hypothesis += [rng.choice(WORDS) for _ in range(rng.randint(0, 2))]
        rng.random() < 0.1 and hypothesis.clear()
        pairs.append((" ".join(reference), " ".join(hypothesis)))
    return pairs


def wer(pairs: list[tuple[str, str]], clusters: list[Any] | None = None, **options: Any) -> dict[str, Any]:
    metric = WordErrorRate(WordErrorRateConfig(**options))
    feed(metric, pairs, clusters)
    return metric.compute()


def feed(
    metric: Any, pairs: list[tuple[str, str]], clusters: list[Any] | None = None, first: int = 0
) -> None:
    values: dict[str, Any] = {"reference": [p[0] for p in pairs], "hypothesis": [p[1] for p in pairs]}
    if clusters is not None:
        values["cluster"] = clusters
    metric.update([f"u{first + i}" for i in range(len(pairs))], **values)


def test_counts_agree_with_jiwer() -> None:
    pairs = [pair for pair in random_pairs(600) if pair[0]]
    assert any(not hypothesis for _, hypothesis in pairs)
    theirs = jiwer.process_words(*map(list, zip(*pairs, strict=True)))
    ours = wer(pairs)
    assert ours["wer"] == pytest.approx(100 * theirs.wer)
    assert (ours["substitutions"], ours["deletions"], ours["insertions"]) == (
        theirs.substitutions,
        theirs.deletions,
        theirs.insertions,
    )
    metric = CharacterErrorRate(CharacterErrorRateConfig())
    feed(metric, pairs)
    characters = jiwer.process_characters(*map(list, zip(*pairs, strict=True)))
    assert metric.compute()["cer"] == pytest.approx(100 * characters.cer)
    assert metric.compute()["insertions"] == characters.insertions


def test_distance_is_the_shortest() -> None:
    """Against the textbook recursion (Wagner and Fischer 1974)."""

    def distance(a: str, b: str) -> int:
        table = np.zeros((len(a) + 1, len(b) + 1), int)
        table[:, 0], table[0] = range(len(a) + 1), range(len(b) + 1)
        for i, j in itertools.product(range(1, len(a) + 1), range(1, len(b) + 1)):
            table[i, j] = min(
                table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            )
        return int(table[-1, -1])

    for a, b in itertools.product(
        ["".join(p) for n in range(4) for p in itertools.product("ab", repeat=n)], repeat=2
    ):
        counts = count_edits(a, b)
        assert counts.errors == distance(a, b)
        assert counts.length - counts.deletions == len(b) - counts.insertions
        if a:
            assert sum(errors_by_position(a, b)) == counts.errors


def test_empty_sides() -> None:
    found = wer([("one two", ""), ("", "three"), ("", "")])
    assert (found["deletions"], found["insertions"], found["substitutions"]) == (2, 1, 0)
    assert found["reference_length"] == 2
    assert found["wer"] == 150.0
    assert wer([("", "")])["wer"] == 0.0
    assert wer([("", "a")])["wer"] is None
    assert wer([("", "a")])["interval"] is None
    assert wer([])["utterances"] == 0


def test_shards_and_order_do_not_matter() -> None:
    pairs = random_pairs(200)
    whole = wer(pairs)
    left, right = WordErrorRate(WordErrorRateConfig()), WordErrorRate(WordErrorRateConfig())
    feed(left, pairs[120:], first=120)
    feed(right, pairs[:120])
    left.merge(right)
    assert left.compute() == whole
    assert {r["id"]: r for r in left.per_utterance()}.keys() == {f"u{i}" for i in range(200)}
    left.merge(right)
    with pytest.raises(UserError, match="given twice: u0"):
        left.compute()


def test_normalizers_are_applied_and_recorded() -> None:
    metric = WordErrorRate(WordErrorRateConfig(normalizers=["lower", "remove_punctuation"]))
    feed(metric, [("Hello, World!", "hello world"), ("Don't — stop", "don't stop")])
    assert metric.compute()["wer"] == 0
    assert metric.provenance()["normalizers"] == [
        {"name": "lower", "version": "1"},
        {"name": "remove_punctuation", "version": "1"},
    ]
    with pytest.raises(UserError, match="no text normalizer 'lowr'") as caught:
        WordErrorRate(WordErrorRateConfig(normalizers=["lowr"]))
    assert "lower" in str(caught.value.hint)


def test_characters_with_and_without_spaces() -> None:
    for spaces, errors, length in ((True, 1, 5), (False, 0, 4)):
        metric = CharacterErrorRate(CharacterErrorRateConfig(spaces=spaces))
        feed(metric, [("ab cd", "abcd")])
        assert (metric.compute()["deletions"], metric.compute()["reference_length"]) == (errors, length)


def test_tokens_are_the_tokenizers() -> None:
    tokenizer = CharTokenizer(CharTokenizerConfig())
    tokenizer.train(["abc d"])
    metric = TokenErrorRate(TokenErrorRateConfig(), tokenizer=tokenizer)
    feed(metric, [("ab d", "ac d")])
    assert metric.compute()["ter"] == 25.0
    with pytest.raises(UserError, match=r"training\.tokenizer is not set"):
        TokenErrorRate(TokenErrorRateConfig(), tokenizer=None)


def test_interval_covers_like_a_plain_bootstrap() -> None:
    pairs = random_pairs(300, seed=3)
    counts = np.array(
        [[c.errors, c.length] for c in (count_edits(r.split(), h.split()) for r, h in pairs)], float
    )
    rng = np.random.default_rng(1)
    drawn = counts[rng.integers(0, len(counts), (4000, len(counts)))].sum(1)
    expected = np.percentile(100 * drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    found = wer(pairs, interval=IntervalConfig(resamples=4000))
    assert found["interval"] == pytest.approx(expected, abs=0.35)
    assert found["interval"] == wer(list(pairs), interval=IntervalConfig(resamples=4000))["interval"]
    assert "interval" not in wer(pairs, interval=None)


def test_interval_by_speaker_is_wider_when_speakers_differ() -> None:
    pairs = [("one two", "one two")] * 50 + [("one two", "one six")] * 50
    speakers = ["a"] * 25 + ["b"] * 25 + ["c"] * 25 + ["d"] * 25
    by_utterance = wer(pairs)["interval"]
    by_speaker = wer(pairs, speakers, interval=IntervalConfig(by="speaker"))["interval"]
    assert by_speaker[1] - by_speaker[0] > 2 * (by_utterance[1] - by_utterance[0])


@pytest.mark.parametrize("as_text", [True, False])
def test_interval_by_recordings_of_words(as_text: bool) -> None:
    """Each recording is used three times; the errors are those of the recordings, drawn as wholes."""
    rng = random.Random(5)
    bad = {f"r{i}" for i in range(60) if rng.random() < 0.2}
    pool = [f"r{i}" for i in range(60)] * 3
    rng.shuffle(pool)
    strings = [pool[i : i + 5] for i in range(0, 180, 5)]
    pairs = [(" ".join(["one"] * 5), " ".join("six" if r in bad else "one" for r in s)) for s in strings]
    clusters: list[Any] = [" ".join(s) if as_text else s for s in strings]
    found = wer(pairs, clusters, interval=IntervalConfig(by="recordings", resamples=4000))
    counts = np.array([[3.0 * (f"r{i}" in bad), 3.0] for i in range(60)])
    draws = np.random.default_rng(2).integers(0, 60, (4000, 60))
    sums = counts[draws].sum(1)
    assert found["interval"] == pytest.approx(
        np.percentile(100 * sums[:, 0] / sums[:, 1], [2.5, 97.5]), abs=1.7
    )
    metric = CharacterErrorRate(CharacterErrorRateConfig(interval=IntervalConfig(by="recordings")))
    assert metric.sources()["cluster"] == "dataset:recordings"
    feed(metric, pairs, clusters)
    assert metric.compute()["interval"][0] > 0


@pytest.mark.parametrize("by", ["utterance", "speaker", "recordings"])
def test_the_records_alone_give_score_and_interval(by: str) -> None:
    """What ``espnet3 compare`` draws: the sums that the metric says its score is made of."""
    rng = random.Random(3)
    pairs = [(" ".join("ab"[rng.random() < 0.3] for _ in range(4)), "a a b a") for _ in range(30)]
    clusters = {"utterance": None, "speaker": [f"s{i % 5}" for i in range(30)]}.get(
        by, [[f"r{rng.randrange(9)}" for _ in range(4)] for _ in range(30)]
    )
    config = IntervalConfig(by=by)
    metric = WordErrorRate(WordErrorRateConfig(interval=config))
    feed(metric, pairs, clusters)
    values, ratio = metric.compute(), metric.ratio()
    entries = json.loads(json.dumps(metric.per_utterance()))
    wrong, length = (sum(entry[key] for entry in entries) for key in (ratio.numerator, ratio.denominator))
    assert ratio.scale * wrong / length == values["wer"]
    own = [[[entry["id"], entry["errors"], entry["reference_length"]]] for entry in entries]
    units = own if by == "utterance" else [entry["units"] for entry in entries]
    interval = ratio_interval(pool(tuple(unit) for shares in units for unit in shares), config)
    assert [100 * end for end in interval] == values["interval"]
    assert ratio.by == by


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="2 values for 3 reference words"):
        wer([("a b c", "a")], [["x", "y"]], interval=IntervalConfig(by="recordings"))
    with pytest.raises(UserError, match=r"interval\.level"):
        wer([], interval=IntervalConfig(level=100))


def test_files(tmp_path: Path) -> None:
    metric = WordErrorRate(WordErrorRateConfig())
    feed(metric, [("one two three", "one too three four"), ("five", "")])
    (path,) = metric.write_artifacts(tmp_path, "wer")
    assert path.name == "wer_alignment.txt"
    assert path.read_text() == (
        "u0: S 1 D 0 I 1 N 3\n"
        "REF: one two three ****\n"
        "HYP: one too three four\n"
        "         S         I\n\n"
        "u1: S 0 D 1 I 0 N 1\n"
        "REF: five\n"
        "HYP: ****\n"
        "     D\n\n"
    )
    assert metric.per_utterance()[1] == {
        "id": "u1",
        "reference": "five",
        "hypothesis": "",
        "errors": 1,
        "substitutions": 0,
        "deletions": 1,
        "insertions": 0,
        "reference_length": 1,
    }
    assert show_alignment([], []) == "REF:\nHYP:\n"


def test_wrong_values_and_inputs() -> None:
    metric = WordErrorRate(WordErrorRateConfig())
    with pytest.raises(UserError, match="utterance 'u0': the reference of wer is not a text"):
        metric.update(["u0"], reference=[[1, 2]], hypothesis=["a"])
    with pytest.raises(UserError, match="no input 'hyp'"):
        WordErrorRate(WordErrorRateConfig(inputs={"hyp": "text"})).sources()


def test_metrics_travel_to_workers() -> None:
    metric = WordErrorRate(WordErrorRateConfig(normalizers=["lower"]))
    feed(metric, [("ONE", "one")])
    copy = pickle.loads(pickle.dumps(metric))
    assert copy.compute() == metric.compute()
    assert copy.normalize("X") == "x"


def test_mistakes_are_found_before_the_run() -> None:
    with pytest.raises(CheckFailed, match=r"metrics\.wer\.interval: interval\.level is 950"):
        validate(WordErrorRateConfig, {"interval": {"level": 950}}, "metrics.wer")
    with pytest.raises(CheckFailed, match="no text normalizer 'lowercase'"):
        validate(WordErrorRateConfig, {"normalizers": ["lowercase"]}, "metrics.wer")
