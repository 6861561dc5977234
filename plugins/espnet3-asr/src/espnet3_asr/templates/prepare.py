"""Fills the recognition template in: splits the user's data, lists it, and chooses sizes by its amount."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text

from espnet3_asr.templates.sizes import choose
from espnet3_asr.templates.user_data import Corpus, Utterance, read

SHARE = 0.1
"""Part of the data for validation, and for the test where none is given."""
FEW = 50
"""Fewer utterances than this are split by rank."""
FEW_SPEAKERS = 10
"""Fewer speakers than this are in all parts."""
LARGEST_SPEAKER = 0.25
"""So are the speakers where one has more of the utterances than this: a part could be of him alone."""
FEW_TO_SELECT = 20
"""The loss of fewer validation utterances says too little to choose weights by."""
SPLITS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_ALIASES = {alias: name for name, names in SPLITS.items() for alias in names}
_LIST = "data/{}.tsv"
_SAID_OF_SPLIT = {
    "column": "as the column split says",
    "speaker": "split by speaker",
    "utterance": "split by utterance",
}


def prepare(directory: Path, data: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Write the data lists and return the values of the template's placeholders.

    Args:
        directory: Folder that becomes the recipe.
        data: Manifest, Kaldi directory or folder of audio with texts; None leaves the paths to the user.
        options: ``test``: the test data, or None.

    Raises:
        UserError: The data cannot be read, has no texts, or is too little to split.
    """
    if data is None:
        corpus, parts = Corpus([], Counter({16000: 1}), 1), {}
        about = "Lists with columns id, path, text are expected at data/train.tsv, valid.tsv and test.tsv."
    else:
        corpus = read(data)
        split_by = _SAID_OF_SPLIT[unit_of_split(corpus.utterances)]
        extra = read(options["test"], "--test") if options.get("test") else None
        parts = split(corpus.utterances, test=extra.utterances if extra else None)
        corpus = corpus.joined(extra) if extra else corpus
        for name, rows in parts.items():
            write_list(directory / _LIST.format(name), rows)
        about = describe(data, corpus, parts, split_by)
    train = parts.get("train", [])
    values = choose([u.text for u in train], [u.seconds for u in train], corpus.rate, known=data is not None)
    return {
        **values,
        "about": about,
        "notes": "\n".join([about, *warnings(corpus.utterances, parts)]) if data else "",
        "sample_rate": corpus.rate,
        "reading": reading(corpus),
        "checkpoint": checkpoint(len(parts["valid"]) if parts else None),
        "train": _LIST.format("train"),
        "valid": _LIST.format("valid"),
        "test_manifest": _LIST.format("test"),
    }


def split(utterances: list[Utterance], test: list[Utterance] | None = None) -> dict[str, list[Utterance]]:
    """Train, validation and test parts: the data's own where it has a column ``split``, else drawn.

    Speakers are drawn where there are enough of them, so that none is in two parts, and utterances elsewhere.
    From ``FEW`` on, the place of each depends on a hash of its name alone, so that data added later moves
    nothing. Fewer are ranked by the hash, so that each part gets its share.

    Raises:
        UserError: There are too few.
    """
    unit = unit_of_split(utterances)
    if unit == "column":
        given = [_ALIASES[utterance.split.lower()] for utterance in utterances]
    else:
        names = [utterance.speaker if unit == "speaker" else utterance.id for utterance in utterances]
        drawn = _drawn(list(dict.fromkeys(names)), with_test=test is None)
        given = [drawn[name] for name in names]
    parts: dict[str, list[Utterance]] = {"train": [], "valid": [], "test": list(test or [])}
    for utterance, part in zip(utterances, given, strict=True):
        parts[part].append(utterance)
    for name in ("valid", "test"):
        if not parts[name]:
            parts[name].append(parts["train"].pop(0) if parts["train"] else utterances[0])
    if not parts["train"] or len(utterances) < 2:
        raise UserError(
            f"--data: {len(utterances)} utterance(s) are too few to train, validate and test",
            hint="three are the least",
        )
    return {name: sorted(rows, key=lambda utterance: utterance.id) for name, rows in parts.items()}


def unit_of_split(utterances: list[Utterance]) -> Literal["column", "speaker", "utterance"]:
    """What the parts are made of: what a column ``split`` says, whole speakers, or single utterances."""
    given = {_ALIASES.get(utterance.split.lower(), "") for utterance in utterances}
    if "" not in given and "train" in given:
        return "column"
    speakers = Counter(utterance.speaker for utterance in utterances)
    largest = max(speakers.values(), default=0)
    enough = "" not in speakers and len(speakers) >= FEW_SPEAKERS
    return "speaker" if enough and largest <= LARGEST_SPEAKER * len(utterances) else "utterance"


def _drawn(ids: list[str], *, with_test: bool) -> dict[str, str]:
    """The part of each id."""
    positions = [_position(name) for name in ids]
    if len(ids) < FEW:
        count = max(1, round(SHARE * len(ids)))
        ranked = sorted(range(len(ids)), key=lambda index: positions[index])
        ranks = {index: rank for rank, index in enumerate(ranked)}
        positions = [SHARE * (ranks[index] + 0.5) / count for index in range(len(ids))]
    test_end = 2 * SHARE if with_test else SHARE
    parts = ["valid" if p < SHARE else "test" if p < test_end else "train" for p in positions]
    return dict(zip(ids, parts, strict=True))


def _position(name: str) -> float:
    """A number in [0, 1) that depends on the id alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def write_list(path: Path, utterances: list[Utterance]) -> None:
    """A manifest with absolute paths; columns of which no utterance makes use are left out."""
    lines = [utterance.cells() for utterance in utterances]
    columns = [name for name in lines[0] if any(cells[name] for cells in lines)]
    rows = ["\t".join(columns), *("\t".join(cells[name] for name in columns) for cells in lines)]
    atomic_write_text(path, "\n".join(rows) + "\n")


def checkpoint(valid: int | None) -> str:
    """Value of ``inference.checkpoint``, by the number of validation utterances (None: not known)."""
    if valid is None or valid >= FEW_TO_SELECT:
        return "average"
    return f"last  # not average: {valid} validation utterance(s) cannot tell which weights are best"


def reading(corpus: Corpus) -> str:
    """Options of the datasets for audio that is not all mono at one rate."""
    lines = "\n    channels: mean" if corpus.channels > 1 else ""
    return lines + ("\n    resample: soxr" if len(corpus.rates) > 1 else "")


def describe(data: str, corpus: Corpus, parts: Mapping[str, list[Utterance]], split_by: str) -> str:
    """One line on the data and its split."""
    hours = sum(utterance.seconds for utterance in corpus.utterances) / 3600
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in parts.items())
    rates = " and ".join(f"{rate} Hz" for rate in sorted(corpus.rates))
    amount = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
    changes = [f"resampled to {corpus.rate} Hz"] if len(corpus.rates) > 1 else []
    changes += ["channels averaged"] if corpus.channels > 1 else []
    name = Path(data).expanduser().resolve().name
    audio = ", ".join([f"{name}: {len(corpus.utterances)} utterances", amount, rates, *changes])
    return f"{audio}: {counts} ({split_by})"


def warnings(utterances: list[Utterance], parts: Mapping[str, list[Utterance]]) -> list[str]:
    """What is unlikely to be meant: a column ``split`` that says nothing, test data that is trained on."""
    found = []
    strange = {utterance.split for utterance in utterances} - {""}
    strange = {value for value in strange if value.lower() not in _ALIASES}
    if strange:
        shown = ", ".join(sorted(strange)[:5])
        found.append(f"warning: the column split is not used; not train, valid or test: {shown}")
    if len({utterance.speaker for utterance in utterances}) > 1 and _speakers(parts, "train", "test"):
        found.append(
            f"note: speakers of the test data are trained on; {FEW_SPEAKERS} or more, each with at most "
            f"{LARGEST_SPEAKER:.0%} of the utterances, are kept apart; --test takes test data of your own"
        )
    trained = {(utterance.path, utterance.start, utterance.channel) for utterance in parts["train"]}
    both = sum((u.path, u.start, u.channel) in trained for u in parts["test"])
    if both:
        found.append(f"warning: {both} of {len(parts['test'])} test utterances are trained on, too")
    return found


def _speakers(parts: Mapping[str, list[Utterance]], *names: str) -> set[str]:
    """Speakers that all of some parts have."""
    return set.intersection(*({u.speaker for u in parts[name]} for name in names)) - {""}
