"""Prepares the voice dataset "Kathleen": one US English speaker, CMU ARCTIC prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from espnet3_core.data.audio import read_audio
from espnet3_core.data.corpus import CorpusBuilder, read_table
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text

COMMIT = "3d825072be5be3b262bc3d577a901c9b6f17ad04"
ARCHIVE = f"https://github.com/rhasspy/dataset-voice-cathy/archive/{COMMIT}.tar.gz"
SPLITS = {"train": "train", "dev": "valid", "test": "test"}
"""Names of the splits in ``splits.tsv``, and ours."""
RATE = 16000
SPEAKER = "kathleen"


class Row(NamedTuple):
    """An utterance: id, audio file, what is said, and the split."""

    id: str
    path: Path
    text: str
    split: str


class KathleenBuilder(CorpusBuilder):
    """Manifests ``data/train.tsv``, ``data/valid.tsv`` and ``data/test.tsv``.

    The corpus is either a folder with ``manifest.tsv`` (path, transcript, split) and audio of 16 kHz, which
    stays where it is; or the public repository, whose recordings (48 kHz, stereo) are brought to 16 kHz and
    one channel below ``data/audio``. ``dataset/splits.tsv`` says which takes are used, and for what.

    Args:
        corpus: The folder; None looks in ``$ESPNET3_CORPORA/kathleen`` and then downloads the repository.
        recipe_dir: The recipe.
    """

    title, folder, unpacked = "kathleen", "kathleen", f"dataset-voice-cathy-{COMMIT}"
    wanted = "manifest.tsv, or the recordings arctic_*.wav"

    def source_in(self, folder: Path) -> Path | None:
        """The folder itself, where it is prepared, or the repository."""
        return folder if _is_prepared(folder) or _is_repository(folder) else None

    def prepare_source(self) -> None:
        """Download the repository; an interrupted download is continued."""
        self.fetch(ARCHIVE, f"kathleen-{COMMIT[:8]}.tar.gz")

    def settings(self) -> Mapping[str, str]:
        """The corpus by the bytes of its list, and where it is."""
        source = self.find()
        if source is None:
            return {}
        listing = source / "manifest.tsv" if _is_prepared(source) else _splits_file()
        return {"source": str(source), "list": hashlib.sha256(listing.read_bytes()).hexdigest()}

    def build(self) -> None:
        """Write the manifests, and the audio of the repository."""
        source = self.source()
        with self.building() as folder:
            rows = _listed(source) if _is_prepared(source) else list(_converted(source, folder / "audio"))
            for name, output in SPLITS.items():
                if not any(row.split == name for row in rows):
                    raise UserError(f"{source}: there is nothing for {name} in its {len(rows)} lines")
                lines = ["id\tpath\ttext\tspeaker"]
                lines += [f"{row.id}\t{row.path}\t{row.text}\t{SPEAKER}" for row in rows if row.split == name]
                atomic_write_text(folder / f"{output}.tsv", "\n".join(lines) + "\n")


def _is_prepared(folder: Path) -> bool:
    return (folder / "manifest.tsv").is_file()


def _is_repository(folder: Path) -> bool:
    return next(folder.glob("arctic_*.wav"), None) is not None


def _splits_file() -> Path:
    return Path(__file__).parent / "splits.tsv"


def _listed(source: Path) -> list[Row]:
    """Utterances of ``manifest.tsv``."""
    path = source / "manifest.tsv"
    rows = []
    for number, row in enumerate(read_table(path, "path", "transcript", "split"), 2):
        split = {"valid": "dev"}.get(row["split"], row["split"])
        if split not in SPLITS:
            raise UserError(f"{path}:{number}: split {row['split']!r} is none of {', '.join(SPLITS)}")
        if not (source / row["path"]).is_file():
            raise UserError(
                f"{path}:{number}: there is no recording {source / row['path']}",
                hint="get the corpus again, or delete the line",
            )
        text = row["transcript"].strip()
        if not text:
            raise UserError(
                f"{path}:{number}: {row['path']} has no transcript", hint="write it, or delete the line"
            )
        rows.append(Row(Path(row["path"]).stem, source / row["path"], text, split))
    return rows


def _converted(source: Path, audio: Path) -> Iterable[Row]:
    """Utterances of the repository, their audio at 16 kHz."""
    audio.mkdir(exist_ok=True)
    for row in read_table(_splits_file(), "name", "split"):
        name = row["name"]
        try:
            text = (source / f"{name}.txt").read_text("utf-8").strip()
        except OSError as error:
            raise UserError(
                f"{source / name}.txt: cannot be read: {error}", hint="delete the folder and run again"
            ) from None
        if not text:
            raise UserError(f"{source / name}.txt: is empty", hint="write what is said in the recording")
        samples = read_audio(source / f"{name}.wav", sample_rate=RATE, channels="mean", resample="soxr")
        path = audio / f"{name}.flac"
        soundfile.write(path, np.clip(samples, -1, 1), RATE, subtype="PCM_16")
        # The folder gets its name when all is done: paths in it are relative to the manifest.
        yield Row(name, path.relative_to(audio.parent), text, row["split"])
