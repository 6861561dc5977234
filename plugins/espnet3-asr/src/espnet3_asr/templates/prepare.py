"""Fills the recognition template in: splits the user's data, lists it, and chooses sizes by its amount."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text

from espnet3_asr.templates.sizes import choose
from espnet3_asr.templates.user_data import Corpus, Utterance, read

SHARE = 0.1
"""Part of the data for validation, and for the test where none is given."""
FEW = 50
"""Fewer utterances than this are split by rank."""
FEW_TO_SELECT = 20
"""The loss of fewer validation utterances says too little to choose weights by."""
SPLITS = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_ALIASES = {alias: name for name, names in SPLITS.items() for alias in names}
_LIST = "data/{}.tsv"


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
        extra = read(options["test"], "--test") if options.get("test") else None
        parts = split(corpus.utterances, test=extra.utterances if extra else None)
        corpus = corpus.joined(extra) if extra else corpus
        for name, rows in parts.items():
            write_list(directory / _LIST.format(name), rows)
        about = describe(data, corpus, parts)
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

    From ``FEW`` utterances on, an utterance's place depends on a hash of its id alone, so that data added
    later moves nothing. Fewer are ranked by the hash, so that each part gets its share.

    Raises:
        UserError: There are too few.
    """
    given = [_ALIASES.get(utterance.split.lower(), "") for utterance in utterances]
    if not (all(given) and "train" in given):
        given = _drawn([utterance.id for utterance in utterances], with_test=test is None)
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


def _drawn(ids: list[str], *, with_test: bool) -> list[str]:
    """The part of each id."""
    positions = [_position(name) for name in ids]
    if len(ids) < FEW:
        count = max(1, round(SHARE * len(ids)))
        ranked = sorted(range(len(ids)), key=lambda index: positions[index])
        ranks = {index: rank for rank, index in enumerate(ranked)}
        positions = [SHARE * (ranks[index] + 0.5) / count for index in range(len(ids))]
    test_end = 2 * SHARE if with_test else SHARE
    return ["valid" if p < SHARE else "test" if p < test_end else "train" for p in positions]


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


def describe(data: str, corpus: Corpus, parts: Mapping[str, list[Utterance]]) -> str:
    """One line on the data and its split."""
    hours = sum(utterance.seconds for utterance in corpus.utterances) / 3600
    counts = ", ".join(f"{len(rows)} {name}" for name, rows in parts.items())
    rates = " and ".join(f"{rate} Hz" for rate in sorted(corpus.rates))
    amount = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
    changes = [f"resampled to {corpus.rate} Hz"] if len(corpus.rates) > 1 else []
    changes += ["channels averaged"] if corpus.channels > 1 else []
    name = Path(data).expanduser().resolve().name
    audio = ", ".join([f"{name}: {len(corpus.utterances)} utterances", amount, rates, *changes])
    return f"{audio}: {counts}"


def warnings(utterances: list[Utterance], parts: Mapping[str, list[Utterance]]) -> list[str]:
    """What is unlikely to be meant: a column ``split`` that says nothing, test data that is trained on."""
    found = []
    strange = {utterance.split for utterance in utterances} - {""}
    strange = {value for value in strange if value.lower() not in _ALIASES}
    if strange:
        shown = ", ".join(sorted(strange)[:5])
        found.append(f"warning: the column split is not used; not train, valid or test: {shown}")
    trained = {(utterance.path, utterance.start, utterance.channel) for utterance in parts["train"]}
    both = sum((u.path, u.start, u.channel) in trained for u in parts["test"])
    if both:
        found.append(f"warning: {both} of {len(parts['test'])} test utterances are trained on, too")
    return found
