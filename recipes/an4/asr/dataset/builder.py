"""Prepares CMU AN4 from its Sphere distribution."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from espnet3_core.data.corpus import CorpusBuilder
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text

ARCHIVE = "http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz"
VALID_SHARE = 0.1
_LINE = re.compile(r"^(?:<s>\s*)?(?P<text>.*?)(?:\s*</s>)?\s*\((?P<id>[^()\s]+)\)\s*$")


class AN4Builder(CorpusBuilder):
    """Manifests of AN4: ``data/train.tsv``, ``data/valid.tsv``, ``data/test.tsv``.

    Validation speakers are taken out of the training part, a tenth of its utterances, so that selection
    measures unseen speakers, as the test does. Audio stays in its Sphere files where it is.

    Args:
        corpus: Folder ``an4`` (with ``etc`` and ``wav``) or its parent; None looks in
            ``$ESPNET3_CORPORA/an4`` and then downloads the archive.
        recipe_dir: The recipe.
    """

    title, folder, wanted = "AN4", "an4", "etc/an4_train.fileids"

    def source_in(self, folder: Path) -> Path | None:
        """The folder ``an4`` in, or at, a folder."""
        candidates = (folder, folder / "an4")
        return next((place for place in candidates if (place / self.wanted).is_file()), None)

    def prepare_source(self) -> None:
        """Download the archive (64 MB); an interrupted download is continued."""
        self.fetch(ARCHIVE, "an4_sphere.tar.gz")

    def settings(self) -> Mapping[str, str]:
        """The corpus by the bytes of its lists, and where it is."""
        source = self.find()
        if source is None:
            return {}
        lists = b"".join(
            (source / "etc" / f"an4_{part}.{kind}").read_bytes()
            for part in ("train", "test")
            for kind in ("fileids", "transcription")
        )
        return {"source": str(source), "lists": hashlib.sha256(lists).hexdigest()}

    def build(self) -> None:
        """Read the lists of files and transcriptions, and write the manifests."""
        source = self.source()
        train = _read_part(source, "train")
        test = _read_part(source, "test")
        held_out = _validation_speakers(train)
        parts = {
            "train": [row for row in train if row[3] not in held_out],
            "valid": [row for row in train if row[3] in held_out],
            "test": test,
        }
        with self.building() as folder:
            for name, rows in parts.items():
                lines = ["id\tpath\ttext\tspeaker", *("\t".join(row) for row in sorted(rows))]
                atomic_write_text(folder / f"{name}.tsv", "\n".join(lines) + "\n")


def _read_part(source: Path, part: str) -> list[tuple[str, str, str, str]]:
    """Id, audio file, text and speaker of each utterance."""
    listing = source / "etc" / f"an4_{part}.transcription"
    texts: dict[str, str] = {}
    for number, line in enumerate(listing.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            raise UserError(f"{listing}:{number}: expected words and (utterance id), found {line!r}")
        texts[match["id"]] = match["text"].strip()
    rows = []
    files = source / "etc" / f"an4_{part}.fileids"
    for number, line in enumerate(files.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        path = Path(line.strip())
        audio = source / "wav" / f"{path}.sph"
        if path.name not in texts:
            raise UserError(f"{files}:{number}: {path.name} has no line in {listing.name}")
        if not audio.is_file():
            raise UserError(f"{files}:{number}: {audio} is missing", hint="unpack the whole archive")
        rows.append((path.name, str(audio), texts[path.name], path.parent.name))
    return rows


def _validation_speakers(train: list[tuple[str, str, str, str]]) -> set[str]:
    """Speakers in the order of a hash of their names, until they have a tenth of the utterances."""
    counts: dict[str, int] = {}
    for row in train:
        counts[row[3]] = counts.get(row[3], 0) + 1
    wanted, chosen = VALID_SHARE * len(train), set[str]()
    for speaker in sorted(counts, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        if sum(counts[name] for name in chosen) >= wanted or len(chosen) == len(counts) - 1:
            break
        chosen.add(speaker)
    return chosen
