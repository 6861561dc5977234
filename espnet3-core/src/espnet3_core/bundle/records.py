"""Core's publishers, as records for the plugin ``core``."""

from __future__ import annotations

from espnet3_core.specs import PublisherSpec

PUBLISHERS: tuple[PublisherSpec, ...] = (
    PublisherSpec(
        name="core/directory",
        target="espnet3_core.bundle.publish:DirectoryPublisher",
        config="espnet3_core.bundle.config:DirectoryConfig",
        summary="Copy the bundle to a folder",
    ),
)
