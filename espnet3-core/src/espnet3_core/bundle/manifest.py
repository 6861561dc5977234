"""``manifest.json`` of a bundle: what is in it, who can read it, and the hash of every file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from espnet3_core.errors import UserError
from espnet3_core.files import sha256_file

SCHEMA = 1
"""Version of the format; readers refuse those that they do not know."""
MANIFEST = "manifest.json"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer"
CARD = "README.md"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The contents of ``manifest.json``.

    Attributes:
        schema: Version of the format.
        system: System of the recipe.
        title: What the model is called.
        license: Licence of the weights.
        language: Languages (ISO 639-1).
        sample_rate: Rate in Hz of the audio that the model takes; None when it takes none.
        components: Registered components: ``kind``, ``name``, ``distribution``, ``version``.
        versions: Versions of core and torch that packed it.
        training: Where the weights come from: ``checkpoint``, ``parameters``, epoch and step where known.
        metrics: ``metrics.json`` of the inference configuration; None when it has not been measured.
        files: Size and SHA-256 of every other file but the card, by path with forward slashes.
    """

    schema: int = SCHEMA
    system: str
    title: str = ""
    license: str | None = None
    language: list[str] = field(default_factory=list)
    sample_rate: int | None = None
    components: list[dict[str, str]] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] | None = None
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def describe_files(directory: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below a folder, sorted by path; manifest and card are left out."""
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    return {
        name: {"size": files[name].stat().st_size, "sha256": sha256_file(files[name])}
        for name in sorted(files)
        if name not in (MANIFEST, CARD)
    }


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of a bundle.

    Raises:
        UserError: There is none, it is damaged, or of a format that is not known here.
    """
    path = directory / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        problem = (
            "there is no such folder"
            if not directory.is_dir()
            else f"it is not a bundle: it has no {MANIFEST}"
        )
        raise UserError(f"{directory}: {problem}", hint="the stage pack_model makes bundles") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}", hint="get or pack the bundle again") from None
    schema = content.get("schema") if isinstance(content, Mapping) else None
    if not isinstance(schema, int):
        raise UserError(f"{path}: is not the manifest of a bundle: it has no `schema`")
    if schema != SCHEMA:
        raise UserError(
            f"{path}: format {schema} is not known here (known is {SCHEMA})",
            hint="pip install --upgrade espnet3-core" if schema > SCHEMA else "pack the model again",
        )
    known = Manifest.__dataclass_fields__
    try:
        return Manifest(**{key: value for key, value in content.items() if key in known})
    except TypeError as error:
        raise UserError(f"{path}: is damaged: {error}", hint="get or pack the bundle again") from None


def verify_files(directory: Path, manifest: Manifest) -> None:
    """Compare every file with the manifest.

    Raises:
        UserError: Files are missing, damaged, outside of the bundle, or read by loading and not listed.
    """
    problems = []
    for name, entry in manifest.files.items():
        path = directory / name
        parts = PurePosixPath(name).parts
        if ".." in parts or PurePosixPath(name).is_absolute() or "\\" in name:
            problems.append(f"{name!r} is outside of the bundle")
        elif not path.is_file():
            problems.append(f"{name} is missing")
        elif path.stat().st_size != entry.get("size"):
            problems.append(f"{name} has {path.stat().st_size} bytes, and {entry.get('size')} are expected")
        elif sha256_file(path) != entry.get("sha256"):
            problems.append(f"{name} has another SHA-256 than the manifest says")
    problems += [f"{name} is not listed" for name in (CONFIG, WEIGHTS) if name not in manifest.files]
    present = [path for path in (directory / TOKENIZER).rglob("*") if path.is_file()]
    unlisted = {path.relative_to(directory).as_posix() for path in present} - manifest.files.keys()
    problems += [f"{name} is not in the manifest" for name in sorted(unlisted)]
    if problems:
        raise UserError(
            f"{directory}: the bundle is damaged: {'; '.join(problems)}", hint="get or pack the bundle again"
        )
