"""How large a bundle may be before it is refused unread."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds on what is read of a bundle; ``espnet3_core.load(…, limits=Limits(bytes=1 << 36))`` moves one.

    Attributes:
        bytes: Most bytes of all files together, unpacked.
        files: Most files.
        depth: Most folders above a file inside the bundle.
        json_bytes: Largest JSON: manifest, configuration, header of the weights.
        json_depth: Deepest nesting in it.
        ratio: How many times larger than its archive an unpacked bundle may be.
    """

    bytes: int = 1 << 34
    files: int = 1000
    depth: int = 4
    json_bytes: int = 1 << 23
    json_depth: int = 32
    ratio: int = 100


DEFAULT_LIMITS = Limits()
