"""Packing: a trained model as a folder of weights, names, tokenizer and hashes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.bundle.card import card
from espnet3_core.bundle.check import check_bundle, check_config
from espnet3_core.bundle.manifest import CARD, CONFIG, MANIFEST, TOKENIZER, WEIGHTS, Manifest, describe_files
from espnet3_core.bundle.sample import Sample, write_sample
from espnet3_core.bundle.weights import serialize
from espnet3_core.data.lock import file_lock
from espnet3_core.files import (
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_text,
    disk_errors,
    make_directory,
    sync_directory,
)

if TYPE_CHECKING:
    from torch import Tensor


def write_bundle(
    target: Path,
    manifest: Manifest,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    tokenizer: Any = None,
    sample: Sample | None = None,
) -> Manifest:
    """Write a bundle; it stands complete under its name, or what stood there before stays.

    Equal arguments give equal bytes: nothing in a bundle tells when or where it was packed.

    Args:
        target: The folder; one that exists is replaced.
        manifest: All of it but ``files`` and ``sample``.
        config: ``config.json``.
        weights: The model's state dict.
        tokenizer: Has ``save(directory)``; None for models without.
        sample: Run through the packed model; what comes of it goes into the manifest.

    Returns:
        The whole manifest.

    Raises:
        UserError: The disk is full or read-only, or a part writes files that bundles do not hold.
    """
    with replacing_folder(target) as directory:
        atomic_write_bytes(directory / WEIGHTS, serialize(weights))
        atomic_write_json(directory / CONFIG, config)
        if tokenizer is not None:
            with disk_errors(directory):
                tokenizer.save(directory / TOKENIZER)
        if sample is not None:
            manifest = replace(manifest, sample=_replayed(directory, manifest, sample))
        atomic_write_text(directory / CARD, card(manifest))
        manifest = replace(manifest, files=describe_files(directory))
        atomic_write_json(directory / MANIFEST, manifest.to_dict())
        check_bundle(directory)
    return manifest


def _replayed(directory: Path, manifest: Manifest, sample: Sample) -> dict[str, Any]:
    from espnet3_core.bundle.model import LoadedModel

    return write_sample(directory, LoadedModel(directory, manifest, check_config(directory), "cpu"), sample)


def _sync(directory: Path) -> None:
    """Bring to the disk what others wrote in their own way, before the folder gets its name."""
    for path in directory.rglob("*"):
        if path.is_dir():
            sync_directory(path)
            continue
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    sync_directory(directory)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """A folder beside ``target`` that takes its place, whole and on the disk, when the block ends well.

    Names are fixed, so that the next packing removes what a killed one left. A kill between the two renames
    leaves no bundle under the name, never half of one.
    """
    fresh, former = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    make_directory(target.parent)
    with file_lock(target.with_name(f".{target.name}.lock")):
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)
        make_directory(fresh)
        try:
            yield fresh
            _sync(fresh)
            with disk_errors(target):
                if target.exists():
                    target.rename(former)
                fresh.rename(target)
        except BaseException:
            if former.exists() and not target.exists():
                former.rename(target)
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        sync_directory(target.parent)
        shutil.rmtree(former, ignore_errors=True)
