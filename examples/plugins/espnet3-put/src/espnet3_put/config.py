"""Options of the publisher."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class PutServerConfig:
    """Where bundles go."""

    url: str
    """Address of the folder that becomes the bundle."""
    timeout: float = 60.0
    """Seconds to wait for an answer."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"`url` is {self.url!r}, and has to begin with http:// or https://")
