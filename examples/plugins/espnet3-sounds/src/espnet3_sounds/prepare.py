"""Looks at a user's folder, and fills the recipe's template in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import soundfile
from espnet3_core.errors import UserError

from espnet3_sounds.config import BY_FOLDER, BY_NAME, FolderConfig
from espnet3_sounds.dataset import LabelledFolder


def prepare(directory: Path, data: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the template's placeholders.

    Args:
        directory: Folder that becomes the recipe.
        data: Folder with a subfolder for each label, or with files named ``<label>_….wav``.
        options: ``test``: a folder of test data, or None.

    Raises:
        UserError: No data are given, or they have no labels.
    """
    if data is None:
        raise UserError(
            "a recipe for sounds is made from data", hint="--data FOLDER, with a folder per label"
        )
    folder = Path(data).expanduser().resolve()
    if not folder.is_dir():
        raise UserError(f"{data}: there is no such folder")
    in_folders = any(path.is_dir() and any(path.iterdir()) for path in folder.iterdir())
    pattern = BY_FOLDER if in_folders else BY_NAME
    dataset = LabelledFolder(FolderConfig(path=str(folder), pattern=pattern))
    counts = Counter(label for _, _, label in dataset.files)
    if len(counts) < 2:
        raise UserError(f"{data}: all files have the label {next(iter(counts))!r}", hint="two are needed")
    test = Path(options["test"]).expanduser().resolve() if options.get("test") else None
    rate = min(soundfile.info(path).samplerate for _, path, _ in dataset.files[:100])
    return {
        "path": folder,
        "pattern": pattern,
        "test_path": test or folder,
        "test_part": "all" if test else "test",
        "labels": ", ".join(f"'{label}'" for label in sorted(counts)),
        "sample_rate": rate,
        "epochs": max(5, min(60, 30_000 // len(dataset))),
        "notes": f"{len(dataset)} files, {len(counts)} labels, {rate} Hz",
    }
