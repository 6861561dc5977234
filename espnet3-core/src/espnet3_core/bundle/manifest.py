"""``manifest.json`` of a bundle: what is in it, who can read it, and the hash of every file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from espnet3_core.bundle.json_files import parse_json
from espnet3_core.bundle.limits import DEFAULT_LIMITS, Limits
from espnet3_core.bundle.names import check_names, refused
from espnet3_core.errors import UserError
from espnet3_core.fields import FIELD_KINDS, FieldDeclaration
from espnet3_core.files import sha256_file

SCHEMA = 1
"""Version of the format; readers refuse those that they do not know."""
MANIFEST = "manifest.json"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer"
SAMPLE = "sample"
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
        sample_rate: Rate in Hz of the audio that the model takes or gives; None when there is none.
        components: Registered components: ``kind``, ``name``, ``distribution``, ``version``.
        plugins: Range of versions that can load it, by distribution.
        inputs: What the model takes.
        outputs: What it gives.
        versions: Versions of core and torch that packed it.
        training: Where the weights come from: ``checkpoint``, ``parameters``, epoch and step where known.
        metrics: ``metrics.json`` of the inference configuration; None when it has not been measured.
        sample: An input (``inputs``) and what comes of it (``outputs``), by field; None for none.
        files: Size and SHA-256 of every other file, by path with forward slashes.
    """

    schema: int = SCHEMA
    system: str
    title: str = ""
    license: str | None = None
    language: list[str] = field(default_factory=list)
    sample_rate: int | None = None
    components: list[dict[str, str]] = field(default_factory=list)
    plugins: dict[str, str] = field(default_factory=dict)
    inputs: list[FieldDeclaration] = field(default_factory=list)
    outputs: list[FieldDeclaration] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] | None = None
    sample: dict[str, Any] | None = None
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def requirements(self) -> dict[str, str]:
        """Range of versions by distribution; the first bundles of version 1 list components only."""
        packed = {part["distribution"]: version_range(part["version"]) for part in self.components}
        return {**packed, **self.plugins}


def version_range(version: str) -> str:
    """Versions that can load what ``version`` packed: names are kept within a major version."""
    return f">={version},<{int(version.partition('.')[0]) + 1}"


def describe_files(directory: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file below a folder, sorted by path; the manifest is left out."""
    files = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    return {
        name: {"size": files[name].stat().st_size, "sha256": sha256_file(files[name])}
        for name in sorted(files)
        if name != MANIFEST
    }


def read_manifest(directory: Path, limits: Limits = DEFAULT_LIMITS) -> Manifest:
    """Read the manifest of a bundle.

    Raises:
        UserError: There is none, it is damaged, or of a format that is not known here.
    """
    path = directory / MANIFEST
    if path.is_symlink():
        raise refused(path, "it is a link")
    try:
        with path.open("rb") as stream:
            content = stream.read(limits.json_bytes + 1)
    except FileNotFoundError:
        missing = f"it is not a bundle: it has no {MANIFEST}"
        problem = missing if directory.is_dir() else "there is no such folder"
        raise UserError(f"{directory}: {problem}", hint="espnet3 pack RECIPE makes bundles") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_manifest(content, path, limits)


def parse_manifest(content: bytes, where: object, limits: Limits) -> Manifest:
    """A manifest from its bytes; raises as :func:`read_manifest` does."""
    values = parse_json(content, where, limits)
    schema = values.get("schema")
    if type(schema) is not int:
        raise UserError(
            f"{where}: is not the manifest of a bundle: it has no `schema`",
            hint="`espnet3 pack RECIPE` writes bundles",
        )
    if schema != SCHEMA:
        raise UserError(
            f"{where}: format {schema} is not known here (known is {SCHEMA})",
            hint="pip install --upgrade espnet3-core" if schema > SCHEMA else "pack the model again",
        )
    _check_types(values, where)
    _check_lists(values, where)
    check_names(where, [MANIFEST, *values.get("files", {})], limits)
    fields = {
        key: [FieldDeclaration(**entry) for entry in values.get(key, ())] for key in ("inputs", "outputs")
    }
    return Manifest(**{**values, **fields})


def _check_types(values: Mapping[str, Any], where: object) -> None:
    known = {item.name: item for item in dataclasses.fields(Manifest)}
    if unknown := sorted(values.keys() - known.keys()):
        raise refused(where, f"{unknown[0]!r} is not a key of the manifest's format {SCHEMA}")
    if "system" not in values:
        raise refused(where, "the manifest names no system")
    kinds: dict[str, Any] = {"str": str, "int": int, "list": list, "dict": dict, "None": type(None)}
    for key, value in values.items():
        # Annotations are text here: `list[str]`, `int | None`.
        names = re.sub(r"\[.*\]", "", str(known[key].type)).split(" | ")
        if not any(type(value) is kinds[name] for name in names):
            raise refused(where, f"{key} is {type(value).__name__}, and {' or '.join(names)} is expected")


def _check_lists(values: Mapping[str, Any], where: object) -> None:
    """The entries of the manifest's lists and tables."""
    texts = {"kind": str, "name": str, "distribution": str, "version": str}
    fields = {"name": str, "kind": str, "summary": str, "optional": bool}
    for key, wanted in (("components", texts), ("inputs", fields), ("outputs", fields)):
        for entry in values.get(key, ()):
            if not isinstance(entry, dict) or {k: type(v) for k, v in entry.items()} != wanted:
                raise refused(where, f"an entry of {key} is not {{{', '.join(wanted)}}}: {entry!r}")
            if wanted is fields and entry["kind"] not in FIELD_KINDS and "/" not in entry["kind"]:
                raise refused(where, f"{key}: there is no kind of field {entry['kind']!r}")
    _check_versions(values, where)
    for name, entry in values.get("files", {}).items():
        well_formed = (
            isinstance(entry, dict)
            and entry.keys() == {"size", "sha256"}
            and type(entry["size"]) is int
            and re.fullmatch(r"[0-9a-f]{64}", str(entry["sha256"]))
        )
        if not well_formed:
            raise refused(where, f"files: {name!r} needs size and sha256, not {entry!r}")


def _check_versions(values: Mapping[str, Any], where: object) -> None:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    for key in ("plugins", "versions"):
        for name, text in values.get(key, {}).items():
            if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
                raise refused(where, f"{key}: {name!r}: {text!r} is not a distribution and its version")
    try:
        for part in values.get("components", ()):
            Version(part["version"])
        for text in values.get("plugins", {}).values():
            SpecifierSet(text)
    except (InvalidVersion, InvalidSpecifier) as error:
        raise refused(where, str(error)) from None


def check_sample(where: Path, manifest: Manifest) -> None:
    """Whether the manifest's sample has the form of one, with files of the bundle.

    Raises:
        UserError: It has not.
    """
    sample = manifest.sample
    if sample is None:
        return
    if sample.keys() != {"inputs", "outputs"} or not all(isinstance(part, dict) for part in sample.values()):
        raise refused(where, "its sample is not {inputs, outputs}")
    kinds = {field.name: field.kind for field in (*manifest.inputs, *manifest.outputs)}
    for name, value in [*sample["inputs"].items(), *sample["outputs"].items()]:
        if name not in kinds:
            raise refused(where, f"its sample has a field {name!r} that is not declared")
        if kinds[name] == "audio" and (not isinstance(value, str) or value not in manifest.files):
            raise refused(where, f"the sample's {name} is {value!r}, which is no file of the manifest")
