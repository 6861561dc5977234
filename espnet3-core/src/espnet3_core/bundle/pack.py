"""Packing: a trained model as a folder of weights, names, tokenizer and hashes."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.bundle.card import card
from espnet3_core.bundle.manifest import CARD, CONFIG, MANIFEST, TOKENIZER, WEIGHTS, Manifest, describe_files
from espnet3_core.files import (
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_text,
    disk_errors,
    make_directory,
)

if TYPE_CHECKING:
    from torch import Tensor


def write_bundle(
    target: Path,
    manifest: Manifest,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    tokenizer: Any = None,
) -> Manifest:
    """Write a bundle; it stands complete under its name, or what stood there before stays.

    Equal arguments give equal bytes: nothing in a bundle tells when or where it was packed.

    Args:
        target: The folder; one that exists is replaced.
        manifest: All of it but ``files``.
        config: ``config.json``.
        weights: The model's state dict.
        tokenizer: Has ``save(directory)``; None for models without.

    Returns:
        The manifest with its files.

    Raises:
        UserError: The disk is full or read-only.
    """
    with _replacing(target) as directory:
        atomic_write_bytes(directory / WEIGHTS, serialize(weights))
        atomic_write_json(directory / CONFIG, config)
        if tokenizer is not None:
            with disk_errors(directory):
                tokenizer.save(directory / TOKENIZER)
        manifest = replace(manifest, files=describe_files(directory))
        atomic_write_json(directory / MANIFEST, manifest.to_dict())
        atomic_write_text(directory / CARD, card(manifest))
    return manifest


def serialize(weights: Mapping[str, Tensor]) -> bytes:
    """A state dict as safetensors; tied tensors are written under each of their names."""
    from safetensors.torch import save
    from torch import Tensor

    tensors = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in sorted(weights.items())
        if isinstance(value, Tensor)
    }
    # One entry only: safetensors does not keep the order of several, and equal weights must be equal bytes.
    return bytes(save(tensors, metadata={"format": "pt"}))


def weights_metadata(path: Path) -> dict[str, Any]:
    """What the header of a weights file says (epoch, step …); empty for other files."""
    if path.suffix != ".safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        header: dict[str, str] = file.metadata() or {}
    return {key: _parsed(value) for key, value in sorted(header.items()) if key != "format"}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A temporary folder beside ``target`` that takes its place when the block ends well."""
    mark = f"{os.getpid()}.{secrets.token_hex(4)}"
    fresh = target.with_name(f".{target.name}.{mark}.tmp")
    former = target.with_name(f".{target.name}.{mark}.old")
    make_directory(fresh)
    try:
        yield fresh
        with disk_errors(target):
            if target.exists():
                target.rename(former)
            fresh.rename(target)
    except BaseException:
        if former.exists() and not target.exists():
            former.rename(target)
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(former, ignore_errors=True)
