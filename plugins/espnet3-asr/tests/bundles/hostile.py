"""Ways to spoil a copy of a good bundle, each with what the refusal must say."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Spoil = Callable[[Path], Path | None]
CASES: dict[str, tuple[Spoil, str]] = {}
"""By name: what spoils a bundle (and returns the archive, if it makes one), and the reason as a pattern."""


def hostile(reason: str) -> Callable[[Spoil], Spoil]:
    """Register a case under its function's name."""

    def register(spoil: Spoil) -> Spoil:
        CASES[spoil.__name__] = (spoil, reason)
        return spoil

    return register


def listed(name: str, content: bytes, reason: str, case: str) -> None:
    """A case with other content of a file, which the manifest lists correctly."""

    def spoil(bundle: Path) -> None:
        (bundle / name).write_bytes(content)
        list_files(bundle)

    CASES[case] = (spoil, reason)


class Payload:
    """Unpickling it runs a command; the test looks for the file that it makes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {os.environ['HOSTILE_CANARY']}",)


def list_files(bundle: Path) -> None:
    """Bring the manifest's table of files up to date."""
    entries = {}
    for path in sorted(bundle.rglob("*")):
        if path.is_file() and path.name != "manifest.json":
            content = path.read_bytes()
            entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            entries[path.relative_to(bundle).as_posix()] = entry
    edit(bundle / "manifest.json", lambda manifest: manifest.update(files=entries))


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def configured(case: str, reason: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """A case with another configuration, which the manifest lists correctly."""

    def spoil(bundle: Path) -> None:
        edit(bundle / "config.json", change)
        list_files(bundle)

    CASES[case] = (spoil, reason)


def described(case: str, reason: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """A case with another manifest."""
    CASES[case] = (lambda bundle: edit(bundle / "manifest.json", change), reason)


def tensors(case: str, reason: str, change: Callable[[dict[str, Any]], Any], tail: bytes = b"") -> None:
    """A case with another header of the weights."""

    def spoil(bundle: Path) -> None:
        path = bundle / "model.safetensors"
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + size])
        change(header)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :] + tail)
        list_files(bundle)

    CASES[case] = (spoil, reason)


def zipped(case: str, reason: str, add: Callable[[zipfile.ZipFile], Any]) -> None:
    """A case of a zip with something added."""

    def spoil(bundle: Path) -> Path:
        target = bundle.parent / "bundle.zip"
        with zipfile.ZipFile(target, "w") as archive:
            for path in sorted(bundle.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(bundle).as_posix())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # names that stand twice
                add(archive)
        return target

    CASES[case] = (spoil, reason)


def tarred(case: str, reason: str, add: Callable[[tarfile.TarFile], Any], mode: str = "w") -> None:
    """A case of a tar with something added."""

    def spoil(bundle: Path) -> Path:
        target = bundle.parent / "bundle.tar"
        with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
            for path in sorted(bundle.rglob("*")):
                if path.is_file():
                    archive.add(path, path.relative_to(bundle).as_posix())
            add(archive)
        return target

    CASES[case] = (spoil, reason)


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    """A tar header."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def zip_member(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    """A zip header; the name is taken as it is."""
    info = zipfile.ZipInfo("x")
    info.filename, info.external_attr = name, mode << 16
    return info


ZEROS = bytes(32 << 20)


def zeros() -> io.BytesIO:
    """Much that compresses to little."""
    return io.BytesIO(ZEROS)


def pickled() -> bytes:
    """A pickle that runs a command."""
    return pickle.dumps(Payload())
