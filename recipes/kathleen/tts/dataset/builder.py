"""Prepares the voice dataset "Kathleen": one US English speaker, CMU ARCTIC prompts."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from espnet3_core.data.builder import DatasetBuilder
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text

SPLITS = {"train": "train", "dev": "valid", "test": "test"}
COLUMNS = ("path", "duration", "transcript", "speaker", "split")


class KathleenBuilder(DatasetBuilder):
    """Manifests ``data/train.tsv``, ``data/valid.tsv`` and ``data/test.tsv``; audio stays where it is.

    Args:
        corpus: Folder with ``manifest.tsv`` (path, duration, transcript, speaker, split) and its audio, 16
        kHz;
            None looks in ``$ESPNET3_CORPORA/kathleen`` and then downloads the public recordings.
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
        """Download the recordings and bring them to 16 kHz."""
        raise UserError(
            "kathleen is not at $ESPNET3_CORPORA/kathleen",
            hint="give its folder by training.dataset.builder.corpus=FOLDER",
        )

    def settings(self) -> Mapping[str, str]:
        """The corpus by the bytes of its list, and where it is."""
        source = self._find()
        if source is None:
            return {}
        listing = (source / "manifest.tsv").read_bytes()
        return {"source": str(source), "manifest": hashlib.sha256(listing).hexdigest()}

    def build(self) -> None:
        """Read the list and write a manifest for each split."""
        source = self._find()
        if source is None:
            raise UserError("kathleen is not on this machine", hint="run the stage create_dataset")
        rows = _read(source)
        with self.building() as folder:
            for name, output in SPLITS.items():
                lines = ["id\tpath\tduration\ttext\tspeaker"]
                lines += [_line(source, row) for row in rows if row["split"] == name]
                atomic_write_text(folder / f"{output}.tsv", "\n".join(lines) + "\n")

    def _find(self) -> Path | None:
        """The corpus: the given one, the shared one, the downloaded one."""
        if self.corpus is not None:
            found = self.recipe_dir / Path(self.corpus).expanduser()
            if not (found / "manifest.tsv").is_file():
                raise UserError(
                    f"training.dataset.builder.corpus: there is no manifest.tsv in {self.corpus}",
                    hint="give the folder of the corpus",
                )
            return found.resolve()
        shared = os.environ.get("ESPNET3_CORPORA")
        folders = [Path(shared).expanduser() / "kathleen"] if shared else []
        folders.append(self.download_dir / "kathleen")
        return next((f.resolve() for f in folders if (f / "manifest.tsv").is_file()), None)


def _read(source: Path) -> list[dict[str, str]]:
    path = source / "manifest.tsv"
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise UserError(f"{path}:1: there is no column {', '.join(missing)}")
        rows = list(reader)
    for number, row in enumerate(rows, 2):
        if not (row["transcript"] or "").strip():
            raise UserError(
                f"{path}:{number}: {row['path']} has no transcript", hint="correct or delete the line"
            )
    return rows


def _line(source: Path, row: Mapping[str, str]) -> str:
    path = source / row["path"]
    return "\t".join((path.stem, str(path), row["duration"], row["transcript"], row["speaker"]))
