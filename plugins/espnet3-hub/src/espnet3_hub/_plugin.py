"""The plugin ``hub``: records of the publishers, and the reader of ``hf://`` addresses."""

from __future__ import annotations

from pathlib import Path

from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import PublisherSpec


@hookimpl
def espnet3_publishers() -> tuple[PublisherSpec, ...]:
    """Publishers of models and of Spaces."""
    return (
        PublisherSpec(
            name="hub/model",
            target="espnet3_hub.publish:ModelPublisher",
            config="espnet3_hub.config:HubConfig",
            summary="Send the bundle to a model repository of the Hugging Face Hub",
        ),
        PublisherSpec(
            name="hub/space",
            target="espnet3_hub.publish:SpacePublisher",
            config="espnet3_hub.config:HubConfig",
            summary="Send the folder of a demo to a Hugging Face Space",
        ),
    )


@hookimpl
def espnet3_fetch_bundle(uri: str, directory: Path) -> bool:
    """Bundles at ``hf://ORG/NAME@REVISION``."""
    if not uri.startswith("hf://"):
        return False
    from espnet3_hub.source import fetch

    fetch(uri, directory)
    return True
