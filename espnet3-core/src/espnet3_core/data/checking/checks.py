"""What is wrong with utterances whose audio has been examined, alone and in comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from espnet3_core.data.checking.audio import SILENCE, Facts
from espnet3_core.data.checking.findings import DataFinding, Level
from espnet3_core.data.checking.splits import Split
from espnet3_core.data.dataset import origin_of

CLIPPED = 0.001
"""Audio with a larger share of samples in clipped peaks is reported."""


def audio_findings(split: Split, sample_rate: int | None) -> Iterator[DataFinding]:
    """Problems of the audio of each utterance of a data set."""
    usual = _usual(split.facts, "rate"), _usual(split.facts, "channels")
    for index, (item, facts) in enumerate(zip(split.items, split.facts, strict=True)):
        if facts is None:
            continue
        if facts.problem:
            yield item.finding(facts.problem, facts.reason, split.name)
            continue
        yield from _format(split, index, sample_rate, usual)
        if facts.level < SILENCE:
            yield item.finding("silent", f"is silent: no sample is louder than {SILENCE:.1g}", split.name)
        elif facts.clipped > CLIPPED:
            reason = f"is clipped: {100 * facts.clipped:.1f} % of its samples stand at the highest level"
            yield item.finding("clipped", reason, split.name)


def _usual(facts: Sequence[Facts | None], name: str) -> int:
    counts = Counter(getattr(entry, name) for entry in facts if entry is not None and not entry.problem)
    return int(counts.most_common(1)[0][0]) if counts else 0


def _format(
    split: Split, index: int, sample_rate: int | None, usual: tuple[int, int]
) -> Iterator[DataFinding]:
    """Rates and channels that the dataset refuses, or that differ from the others'."""
    item, facts = split.items[index], split.facts[index]
    assert facts is not None
    part, inner = origin_of(split.dataset, index)
    config = getattr(part, "config", None)
    if getattr(config, "resample", None) == "reject" and sample_rate not in (None, facts.rate):
        reason = f"is sampled at {facts.rate} Hz, and the recipe's sample_rate is {sample_rate} Hz"
        yield item.finding("rate", reason, split.name)
    elif facts.rate != usual[0]:
        reason = f"is sampled at {facts.rate} Hz, and most of {split.name} at {usual[0]} Hz"
        yield item.finding("mixed rates", reason, split.name)
    chosen = part.channel(inner) if callable(getattr(part, "channel", None)) else None
    if getattr(config, "channels", None) == "reject" and chosen is None and facts.channels > 1:
        reason = f"has {facts.channels} channels, and one is wanted"
        yield item.finding("channels", reason, split.name)
    elif facts.channels != usual[1]:
        reason = f"has {facts.channels} channels, and most of {split.name} have {usual[1]}"
        yield item.finding("mixed channels", reason, split.name)


def shared_findings(splits: Sequence[Split]) -> Iterator[DataFinding]:
    """Utterances of test and validation sets whose audio is in the training set, too."""
    trained = {
        facts.digest: item
        for split in splits
        if split.role == "train"
        for item, facts in zip(split.items, split.facts, strict=True)
        if facts is not None and _sounds(facts)
    }
    for split in splits:
        if split.role == "train":
            continue
        for item, facts in zip(split.items, split.facts, strict=True):
            if facts is None or not _sounds(facts) or facts.digest not in trained:
                continue
            other = trained[facts.digest]
            place = f" ({other.place})" if other.place else ""
            reason = f"is the same audio as {other.id!r} of train{place}"
            level: Level = "error" if split.role == "test" else "warning"
            yield item.finding("same audio", reason, split.name, level=level)


def _sounds(facts: Facts) -> bool:
    return not facts.problem and facts.level >= SILENCE


def text_findings(split: Split, tokenizer: Any) -> Iterator[DataFinding]:
    """Texts that are missing in training, and what the tokenizer does not know."""
    for item in split.items:
        text = item.fields.get("text")
        if not isinstance(text, str) or not text.strip():
            if split.role == "train":
                yield item.finding("no text", "has no text to train on", split.name)
            continue
        unknown = unknown_parts(text, tokenizer)
        if unknown:
            listed = ", ".join(map(repr, unknown[:10])) + (" …" if len(unknown) > 10 else "")
            yield item.finding("characters", f"the tokenizer does not know {listed}", split.name)


def unknown_parts(text: str, tokenizer: Any) -> list[str]:
    """Characters of a text that a tokenizer does not know, or words where it knows no characters."""
    if tokenizer.unk_id not in tokenizer.encode(text):
        return []
    words = [word for word in dict.fromkeys(text.split()) if tokenizer.unk_id in tokenizer.encode(word)]
    characters = dict.fromkeys(c for word in words for c in word if tokenizer.unk_id in tokenizer.encode(c))
    known = any(tokenizer.unk_id not in tokenizer.encode(c) for word in words for c in word)
    return list(characters) if characters and (known or not words) else words


def by_place(finding: DataFinding) -> tuple[str, str, int]:
    """Sorts findings by kind, file and line."""
    file, _, line = (finding.place or "").rpartition(":")
    return finding.kind, file, int(line) if line.isdigit() else 0
