"""Prepares LJSpeech 1.1: one US English speaker, 13,100 clips."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from espnet3_core.data.corpus import CorpusBuilder, read_table
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text

ARCHIVE = "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2"
CHECKSUM = "be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5"
"""sha256 of the archive."""
NAME = "LJSpeech-1.1"
HELD_OUT = 250
"""Clips of the development set, and of the test set: the last ones of the list, as in ESPnet's recipe."""
SPEAKER = "LJ"
SHARE = 8
"""Of a corpus that names no development sentences, one in so many of the training sentences becomes one."""


class Row(NamedTuple):
    """An utterance: id, audio file, what is said, and the split."""

    id: str
    path: Path
    text: str
    split: str


class LJSpeechBuilder(CorpusBuilder):
    """Manifests ``data/train.tsv``, ``data/valid.tsv`` and ``data/test.tsv``; audio stays where it is.

    The corpus is a folder as the archive has it (``metadata.csv`` and ``wavs``), of which the last 500 clips
    are held out; or a part of it with ``manifest.tsv`` (path, transcript, split).

    Args:
        corpus: The folder; None looks in ``$ESPNET3_CORPORA/LJSpeech-1.1`` and then downloads the archive.
        recipe_dir: The recipe.
    """

    title, folder, unpacked = "LJSpeech", NAME, NAME
    wanted = "metadata.csv or manifest.tsv"

    def source_in(self, folder: Path) -> Path | None:
        """The folder itself, where it lists utterances."""
        return folder if _list(folder).is_file() else None

    def prepare_source(self) -> None:
        """Download the archive (2.6 GB); an interrupted download is continued."""
        self.fetch(ARCHIVE, f"{NAME}.tar.bz2", sha256=CHECKSUM)

    def settings(self) -> Mapping[str, str]:
        """The corpus by the bytes of its list, and where it is."""
        source = self.find()
        if source is None:
            return {}
        return {"source": str(source), "list": hashlib.sha256(_list(source).read_bytes()).hexdigest()}

    def build(self) -> None:
        """Write the manifests."""
        source = self.source()
        rows = _archived(source) if _list(source).name == "metadata.csv" else _listed(source)
        _check(rows, _list(source))
        with self.building() as folder:
            for split in ("train", "valid", "test"):
                lines = ["id\tpath\ttext\tspeaker"]
                lines += [
                    f"{row.id}\t{row.path}\t{row.text}\t{SPEAKER}" for row in rows if row.split == split
                ]
                atomic_write_text(folder / f"{split}.tsv", "\n".join(lines) + "\n")


def _list(source: Path) -> Path:
    """The file that names the utterances."""
    archived = source / "metadata.csv"
    return archived if archived.is_file() else source / "manifest.tsv"


def _archived(source: Path) -> list[Row]:
    """Utterances of ``metadata.csv``: ``id|as printed|as spoken``."""
    path = _list(source)
    rows = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read: {error}", hint="it has to be UTF-8 text") from None
    for number, line in enumerate(lines, 1):
        name, *texts = line.split("|")
        text = next((text.strip() for text in reversed(texts) if text.strip()), "")
        left = len(lines) - number
        split = "test" if left < HELD_OUT else "valid" if left < 2 * HELD_OUT else "train"
        rows.append(Row(name, source / "wavs" / f"{name}.wav", " ".join(text.split()), split))
    return rows


def _listed(source: Path) -> list[Row]:
    """Utterances of ``manifest.tsv``; without development sentences, some of the others become such."""
    path = _list(source)
    rows = [
        Row(
            Path(row["path"]).stem,
            source / row["path"],
            " ".join(row["transcript"].split()),
            {"dev": "valid"}.get(row["split"], row["split"]),
        )
        for row in read_table(path, "path", "transcript", "split")
    ]
    training = [number for number, row in enumerate(rows) if row.split == "train"]
    if not any(row.split == "valid" for row in rows):
        for number in training[SHARE - 1 :: SHARE]:
            rows[number] = rows[number]._replace(split="valid")
    return rows


def _check(rows: list[Row], listing: Path) -> None:
    """Refuse a corpus in which something is missing.

    Raises:
        UserError: A transcript, a recording, or a whole split is not there.
    """
    there = {
        folder: set(os.listdir(folder))
        for folder in {row.path.parent for row in rows if row.path.parent.is_dir()}
    }
    for number, row in enumerate(rows, 1 if listing.suffix == ".csv" else 2):
        if row.split not in ("train", "valid", "test"):
            raise UserError(f"{listing}:{number}: split {row.split!r} is none of train, dev, test")
        if not row.text:
            raise UserError(
                f"{listing}:{number}: {row.id} has no transcript", hint="write it, or delete the line"
            )
        if row.path.name not in there.get(row.path.parent, ()):
            raise UserError(
                f"{listing}:{number}: there is no recording {row.path}",
                hint="the corpus is not complete: unpack the archive again, or delete the line",
            )
    for split in ("train", "valid", "test"):
        if not any(row.split == split for row in rows):
            raise UserError(f"{listing}: there is nothing for {split} in its {len(rows)} lines")
