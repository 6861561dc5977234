"""Bundles for the tests of the Hub, and what is in folders."""

from __future__ import annotations

from pathlib import Path

import torch
from espnet3_core.bundle.manifest import Manifest
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.fields import FieldDeclaration

MODEL = ("model", "acme/digits")
"""Where the tests publish to."""
MANIFEST = Manifest(
    system="acme/digits",
    title="Digits",
    license="CC-BY-SA-4.0",
    language=["en"],
    inputs=[FieldDeclaration(name="speech", kind="audio", summary="one utterance")],
    outputs=[FieldDeclaration(name="text", kind="text", summary="what was said")],
    training={"datasets": ["openslr/librispeech_asr"]},
    metrics={"wer": {"test": {"wer": 3.25, "interval": [1.0, 5.0]}, "other": {"wer": 7.5}}},
)


def pack(target: Path, seed: int = 0) -> Path:
    """A bundle of no model in particular, with weights that the seed chooses."""
    generator = torch.Generator().manual_seed(seed)
    weights = {"weight": torch.randn(200_000, generator=generator)}
    write_bundle(target, MANIFEST, {"model": {"name": "acme/digits"}}, weights)
    return target


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
