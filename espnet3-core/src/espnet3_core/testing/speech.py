"""A little real speech: four strings of digits that ship with core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from espnet3_core.protocols import Item


@dataclass(frozen=True)
class Speech:
    """A few utterances.

    Attributes:
        manifest: TSV file with ``id``, ``path``, ``text`` and ``speaker``, the FLAC files beside it.
        sample_rate: In Hz.
        items: As a dataset gives them: ``id``, ``speech`` (float32, (samples,)), ``text``, ``speaker``.
    """

    manifest: Path
    sample_rate: int
    items: list[Item]


def sample_speech() -> Speech:
    """The sample, read anew: whoever changes an item changes nobody else's."""
    from espnet3_core.data.config import ManifestConfig
    from espnet3_core.data.manifest import open_manifest

    manifest = Path(__file__).parent / "sample" / "manifest.tsv"
    dataset = open_manifest(ManifestConfig(path=str(manifest)), recipe_dir=manifest.parent, sample_rate=8000)
    return Speech(manifest, 8000, [dict(dataset[index]) for index in range(len(dataset))])
