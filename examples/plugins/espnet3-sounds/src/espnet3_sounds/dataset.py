"""The dataset: labels from paths."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import soundfile
from espnet3_core.data.audio import read_audio
from espnet3_core.errors import UserError

from espnet3_sounds.config import FolderConfig

_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


class LabelledFolder:
    """Items ``id``, ``speech`` and ``label``, sorted by path.

    Args:
        config: Folder and pattern.
        sample_rate: Rate in Hz that audio is converted to; None leaves it as it is.
        recipe_dir: Where relative paths start.

    Raises:
        UserError: No file matches.
    """

    def __init__(
        self, config: FolderConfig, *, sample_rate: int | None = None, recipe_dir: Path | None = None
    ) -> None:
        self.sample_rate = sample_rate
        folder = Path(recipe_dir or ".") / Path(config.path).expanduser()
        pattern = re.compile(config.pattern)
        self.files: list[tuple[str, Path, str]] = []
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).with_suffix("").as_posix()
            found = pattern.fullmatch(name) if path.suffix.lower() in _SUFFIXES else None
            if found and config.part in ("all", part_of(name)):
                self.files.append((name, path, found["label"]))
        if not self.files:
            raise UserError(
                f"{folder}: no audio file matches {config.pattern!r} (part {config.part})",
                hint="the pattern is compared with whole paths below the folder, without the suffix",
            )

    def __len__(self) -> int:
        return len(self.files)

    def ids(self) -> list[str]:
        """Paths below the folder, without their suffixes."""
        return [name for name, _, _ in self.files]

    def lengths(self) -> list[float]:
        """Seconds, from the headers."""
        return [soundfile.info(path).duration for _, path, _ in self.files]

    def describe(self, index: int) -> dict[str, Any]:
        """What is known without reading audio."""
        name, _, label = self.files[index]
        return {"id": name, "label": label}

    def __getitem__(self, index: int) -> dict[str, Any]:
        samples = read_audio(
            self.files[index][1], sample_rate=self.sample_rate, channels="mean", resample="soxr"
        )
        return {**self.describe(index), "speech": samples}


def part_of(name: str) -> str:
    """Which part a file belongs to: by a hash of its name, so that new files move no others."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    return "valid" if share < 0.1 else "test" if share < 0.2 else "train"
