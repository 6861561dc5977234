"""What the server allows; imports nothing heavy, so that ``--help`` can show the defaults."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the server.

    Attributes:
        batch: Most items (pieces of recordings, or of texts) that are computed together.
        wait: Seconds that an item waits for others to be computed with.
        queue: Requests that are worked on or wait; further ones are refused with 429.
        timeout: Seconds that a request may take, its upload included.
        bytes: Most bytes of an uploaded file.
        seconds: Longest recording.
        piece: Recordings are cut into pieces of at most so many seconds.
        characters: Longest text to be spoken.
    """

    batch: int = 16
    wait: float = 0.005
    queue: int = 64
    timeout: float = 60.0
    bytes: int = 25_000_000
    seconds: float = 600.0
    piece: float = 30.0
    characters: int = 4096
