"""The bounded queue: so many requests at a time, and a word to the others when to come again."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from espnet3_serve.errors import APIError


class Gate:
    """Lets a limited number of requests in.

    Args:
        most: Requests that are worked on or wait at a time.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.inside = 0
        self._usual = 1.0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Hold one of the places.

        Raises:
            APIError: 429 with Retry-After, all places are taken.
        """
        if self.inside >= self.most:
            raise APIError(
                429,
                f"the server works on {self.most} requests already; try again after {self.retry_after} s",
                kind="rate_limit_error",
                code="rate_limit_exceeded",
                headers={"Retry-After": str(self.retry_after)},
            )
        self.inside += 1
        began = time.monotonic()
        try:
            yield
        finally:
            self.inside -= 1
            self._usual += 0.1 * (time.monotonic() - began - self._usual)

    @property
    def retry_after(self) -> int:
        """Whole seconds after which a place is likely free: as long as requests took lately."""
        return min(60, max(1, math.ceil(self._usual)))
