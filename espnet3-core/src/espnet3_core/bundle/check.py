"""What must hold before anything in a bundle is used. Nothing here imports torch or runs a plugin's code."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from espnet3_core.bundle.config import BundleConfig
from espnet3_core.bundle.foreign import foreign
from espnet3_core.bundle.json_files import read_json
from espnet3_core.bundle.limits import DEFAULT_LIMITS, Limits
from espnet3_core.bundle.manifest import (
    CARD,
    CONFIG,
    MANIFEST,
    WEIGHTS,
    Manifest,
    check_sample,
    read_manifest,
)
from espnet3_core.bundle.names import check_names, refused
from espnet3_core.bundle.weights import check_weights
from espnet3_core.errors import CheckFailed
from espnet3_core.files import sha256_file

_NOT_DATA = (
    (re.compile(rb"\x80[\x00-\x05]"), "a pickle"),
    (re.compile(rb"PK\x03\x04"), "an archive (torch.save writes such pickles)"),
    (re.compile(rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf"), "compressed"),
    (re.compile(rb"\x7fELF|MZ\x90\x00|#!|\xca\xfe\xba\xbe"), "a program"),
)


def check_bundle(directory: Path, limits: Limits = DEFAULT_LIMITS, *, hashes: bool = True) -> Manifest:
    """Check the files of a bundle, in this order: manifest, names, hashes, contents.

    Args:
        directory: Folder of the bundle.
        limits: How large it may be.
        hashes: Compare every file's SHA-256 with the manifest.

    Returns:
        Its manifest.

    Raises:
        UserError: It is refused; the message says why.
    """
    manifest = read_manifest(directory, limits)
    sizes = dict(_regular_files(directory, limits))
    check_names(directory, sizes, limits)
    if sum(sizes.values()) > limits.bytes:
        raise refused(directory, f"it has more than {limits.bytes} bytes")
    check_listed(directory, manifest, sizes)
    problems = [
        f"{name} has another SHA-256 than the manifest says"
        for name, entry in manifest.files.items()
        if hashes and sha256_file(directory / name) != entry["sha256"]
    ]
    if problems:
        raise refused(directory, "; ".join(problems))
    for name in manifest.files:
        _check_content(directory / name)
    check_weights(directory / WEIGHTS, limits)
    check_sample(directory, manifest)
    return manifest


def _regular_files(directory: Path, limits: Limits) -> Iterator[tuple[str, int]]:
    """Name and size of every file below a folder; links and devices are refused, not followed."""
    pending, count = [directory], 0
    while pending:
        folder = pending.pop()
        for entry in sorted(os.scandir(folder), key=lambda item: item.name):
            name = Path(entry.path).relative_to(directory).as_posix()
            status = entry.stat(follow_symlinks=False)
            count += 1
            if count > 2 * limits.files:
                raise refused(directory, f"it holds more than {limits.files} files")
            if stat.S_ISDIR(status.st_mode):
                if name.count("/") >= limits.depth:
                    raise refused(directory, f"{name!r} lies deeper than {limits.depth} folders")
                pending.append(Path(entry.path))
            elif stat.S_ISREG(status.st_mode):
                yield name, status.st_size
            else:
                raise refused(directory, f"{name!r} is a link or a device, not a file")


def check_listed(where: object, manifest: Manifest, sizes: Mapping[str, int]) -> None:
    """Compare the files that are there with those that the manifest lists.

    Raises:
        UserError: A file is missing, has another size, or is not listed.
    """
    problems = [f"{name} is not listed" for name in (CONFIG, WEIGHTS) if name not in manifest.files]
    for name, entry in manifest.files.items():
        if name not in sizes:
            problems.append(f"{name} is missing")
        elif sizes[name] != entry["size"]:
            problems.append(f"{name} has {sizes[name]} bytes, and {entry['size']} are expected")
    problems += [f"{name} is not in the manifest" for name in sorted(sizes.keys() - allowed(manifest))]
    if problems:
        raise refused(where, "; ".join(problems))


def allowed(manifest: Manifest) -> set[str]:
    """Files that may be there. The card, which loading never reads, need not be listed: the first bundles of
    version 1 did not."""
    return {MANIFEST, CARD, *manifest.files}


def _check_content(path: Path) -> None:
    if path.suffix == ".safetensors":
        return
    with path.open("rb") as stream:
        head = stream.read(16)
    for pattern, kind in _NOT_DATA:
        if pattern.match(head):
            raise refused(path, f"it is {kind}, and bundles hold data only")


def check_config(directory: Path, limits: Limits = DEFAULT_LIMITS) -> BundleConfig:
    """Read ``config.json``: names that are known here, with options as their schemas want them.

    Raises:
        CheckFailed: It holds import paths, interpolations, paths, unknown names or keys: all of them.
    """
    from espnet3_core.config.schema import examine

    path = directory / CONFIG
    node = read_json(path, limits)
    findings = list(foreign(node, "config"))
    if findings:
        raise CheckFailed(replace(finding, place=str(path)) for finding in findings)
    report = examine(BundleConfig, node, "config")
    if report.findings:
        raise CheckFailed(replace(finding, place=str(path)) for finding in report.findings)
    config: BundleConfig = report.instance
    return config
