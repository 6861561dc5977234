"""The plugin ``put``."""

from __future__ import annotations

from collections.abc import Iterable

from espnet3_core import specs
from espnet3_core.hookspecs import hookimpl


@hookimpl
def espnet3_publishers() -> Iterable[specs.PublisherSpec]:
    """One publisher."""
    yield specs.PublisherSpec(
        name="put/server",
        target="espnet3_put.publisher:PutServer",
        config="espnet3_put.config:PutServerConfig",
        summary="A server that takes HTTP PUT",
    )
