"""Prepares CMU AN4 from its Sphere distribution."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from espnet3_core.data.archive import extract
from espnet3_core.data.builder import DatasetBuilder
from espnet3_core.data.download import download
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text

ARCHIVE = "http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz"
VALID_SHARE = 0.1
_LINE = re.compile(r"^(?:<s>\s*)?(?P<text>.*?)(?:\s*</s>)?\s*\((?P<id>[^()\s]+)\)\s*$")


class AN4Builder(DatasetBuilder):
    """Manifests of AN4: ``data/train.tsv``, ``data/valid.tsv``, ``data/test.tsv``.

    Validation speakers are taken out of the training part, a tenth of its utterances, so that selection
    measures unseen speakers, as the test does. Audio stays in its Sphere files where it is.

    Args:
        corpus: Folder ``an4`` (with ``etc`` and ``wav``) or its parent; None looks in
            ``$ESPNET3_CORPORA/an4`` and then downloads the archive.
        recipe_dir: The recipe.
    """

    def __init__(self, corpus: str | None = None, *, recipe_dir: Path) -> None:
        self.corpus = corpus
        self.recipe_dir = Path(recipe_dir)
        self.download_dir = self.recipe_dir / "download"
        self.output = self.recipe_dir / "data"

    def is_source_prepared(self) -> bool:
        """Whether the corpus is on this machine."""
        return self._find() is not None

    def prepare_source(self) -> None:
        """Download the archive (64 MB); an interrupted download is continued."""
        archive = download(ARCHIVE, self.download_dir / "an4_sphere.tar.gz")
        extract(archive, self.download_dir)
        if self._find() is None:
            raise UserError(f"{archive}: there is no folder an4/etc in it", hint="delete it and run again")

    def settings(self) -> Mapping[str, str]:
        """The corpus by the bytes of its lists, and where it is."""
        source = self._find()
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
        source = self._find()
        if source is None:
            raise UserError("AN4 is not on this machine", hint="run the stage create_dataset")
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

    def _find(self) -> Path | None:
        """The folder ``an4``: the given one, the shared one, the downloaded one."""
        if self.corpus is not None:
            found = _an4_in(self.recipe_dir / Path(self.corpus).expanduser())
            if found is None:
                raise UserError(
                    f"training.dataset.builder.corpus: no AN4 in {self.corpus}",
                    hint="give the folder that holds etc/an4_train.fileids",
                )
            return found
        shared = os.environ.get("ESPNET3_CORPORA")
        folders = [Path(shared).expanduser() / "an4"] if shared else []
        return next((found for f in [*folders, self.download_dir] if (found := _an4_in(f))), None)


def _an4_in(folder: Path) -> Path | None:
    for candidate in (folder, folder / "an4"):
        if (candidate / "etc" / "an4_train.fileids").is_file():
            return candidate.resolve()
    return None


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
