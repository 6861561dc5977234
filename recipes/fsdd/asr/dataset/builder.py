"""Prepares connected digits from the Free Spoken Digit Dataset (FSDD)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from dataset.strings import SAMPLE_RATE, SPEAKERS, DigitString, Recording, make_strings, recordings, render
from espnet3_core.data.corpus import CorpusBuilder
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text
from numpy.typing import NDArray

COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
ARCHIVE = f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{COMMIT}.tar.gz"
CHECKSUM = "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959"
"""sha256 over the lines ``<sha256>  <name>`` of all recordings in the order of their names."""
COLUMNS = ("id", "path", "text", "speaker", "recordings")
UNSEEN_VALID, UNSEEN_TEST = "lucas", "theo"


@dataclass(frozen=True)
class Part:
    """Recordings of one split, and how often each of them is used."""

    name: str
    recordings: list[Recording]
    passes: int


class FSDDBuilder(CorpusBuilder):
    """Strings of 3 to 7 digits by one speaker each, with pauses of 0 to 250 ms.

    Split ``official`` tests on the corpus's own test recordings (index 0 to 4) and selects on index 5 to 7.
    Split ``unseen`` trains on four speakers, selects on lucas and tests on theo. Manifests and audio go to
    ``data/<split>``; the column ``recordings`` names the recordings of each string. Beside them,
    ``noise`` holds background noise for augmentation.

    Args:
        corpus: Folder of the corpus, or of its ``recordings``; None looks in ``$ESPNET3_CORPORA/fsdd`` and
            then downloads it.
        split: ``official`` or ``unseen``.
        train_passes: How many training strings use each training recording.
        test_passes: How many test strings use each test recording.
        version: Another number gives other strings.
        recipe_dir: The recipe.
    """

    title, folder, unpacked = "FSDD", "fsdd", f"free-spoken-digit-dataset-{COMMIT}"
    wanted = "recordings/0_george_0.wav"

    def __init__(
        self,
        corpus: str | None = None,
        split: Literal["official", "unseen"] = "official",
        train_passes: int = 6,
        test_passes: int = 4,
        version: int = 0,
        *,
        recipe_dir: Path,
    ) -> None:
        if split not in ("official", "unseen"):
            raise UserError(
                f"training.dataset.builder.split: {split!r} is not a split", hint="official or unseen"
            )
        super().__init__(corpus, recipe_dir=recipe_dir)
        self.split = split
        self.passes = (train_passes, test_passes)
        self.version = version
        self.output /= split

    def source_in(self, folder: Path) -> Path | None:
        """The folder of the recordings in, or at, a folder."""
        candidates = (folder / "recordings", folder)
        return next((place for place in candidates if (place / "0_george_0.wav").is_file()), None)

    def prepare_source(self) -> None:
        """Download the corpus; an interrupted download is continued."""
        other = (
            ", or use the sample that comes with the recipe: "
            "--training training_sample --inference inference_sample"
        )
        self.fetch(ARCHIVE, f"fsdd-{COMMIT[:8]}.tar.gz", otherwise=other)

    def settings(self) -> Mapping[str, object]:
        """What decides the content of the dataset."""
        return {"version": 4, "corpus": CHECKSUM, "passes": list(self.passes), "strings": self.version}

    def build(self) -> None:
        """Write audio and manifests."""
        source = self.source()
        _verify(source)
        audio = {file.stem: _read(file) for file in sorted(source.glob("*.wav"))}
        with self.building() as folder:
            for part in self._parts():
                strings = make_strings(part.recordings, part.name, part.passes, self.version)
                _write_part(folder, part.name, strings, audio)
            _write_noise(folder / "noise")

    def _parts(self) -> list[Part]:
        train, test = self.passes
        if self.split == "official":
            return [
                Part("train", recordings(SPEAKERS, range(8, 50)), train),
                Part("valid", recordings(SPEAKERS, range(5, 8)), 2),
                Part("test", recordings(SPEAKERS, range(5)), test),
            ]
        known = [name for name in SPEAKERS if name not in (UNSEEN_VALID, UNSEEN_TEST)]
        return [
            Part("train", recordings(known, range(50)), train),
            Part("valid", recordings([UNSEEN_VALID], range(50)), 1),
            Part("test", recordings([UNSEEN_TEST], range(50)), test),
        ]


def _verify(source: Path) -> None:
    """Compare all recordings with the corpus as it is at ``COMMIT``."""
    files = sorted(source.glob("*.wav"))
    lines = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    if hashlib.sha256(lines.encode()).hexdigest() != CHECKSUM:
        raise UserError(
            f"{source}: these {len(files)} wav files are not FSDD as of commit {COMMIT[:8]} "
            "(their checksum differs)",
            hint=f"delete the folder and get {ARCHIVE}",
        )


def _read(file: Path) -> NDArray[np.int16]:
    samples, rate = soundfile.read(file, dtype="int16")
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise UserError(f"{file}: {rate} Hz, {samples.ndim} dimension(s); 8000 Hz mono is expected")
    return np.asarray(samples)


def _write_part(
    folder: Path, name: str, strings: Iterable[DigitString], audio: Mapping[str, NDArray[np.int16]]
) -> None:
    """Audio files of one split and its manifest."""
    (folder / "audio" / name).mkdir(parents=True, exist_ok=True)
    rows = ["\t".join(COLUMNS)]
    for string in strings:
        path = f"audio/{name}/{string.id}.flac"
        soundfile.write(folder / path, render(string, audio), SAMPLE_RATE, subtype="PCM_16")
        used = " ".join(recording.name for recording in string.recordings)
        rows.append("\t".join((string.id, path, string.text, string.speaker, used)))
    atomic_write_text(folder / f"{name}.tsv", "\n".join(rows) + "\n")


def _write_noise(folder: Path) -> None:
    """Half a minute each of noise whose power falls by 0, 3 and 6 dB per octave (white, pink, brown)."""
    folder.mkdir(exist_ok=True)
    # RandomState, unlike numpy's newer generators, promises the same values in every version.
    white = np.random.RandomState(0).standard_normal(30 * SAMPLE_RATE)
    spectrum = np.fft.rfft(white)
    hertz = np.maximum(np.fft.rfftfreq(len(white), 1 / SAMPLE_RATE), 50.0)
    for name, slope in (("white", 0.0), ("pink", 0.5), ("brown", 1.0)):
        noise = np.fft.irfft(spectrum / hertz**slope)
        soundfile.write(folder / f"{name}.flac", 0.1 * noise / noise.std(), SAMPLE_RATE, subtype="PCM_16")
