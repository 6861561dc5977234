"""Requests that come at about the same time are computed together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class _Waiting(Generic[Item, Outcome]):
    item: Item
    since: float
    future: asyncio.Future[Outcome]


class Batcher(Generic[Item, Outcome]):
    """Collects items for a few milliseconds, or until a batch is full, and computes them in a thread.

    While a batch is computed, what comes in waits for the next one; so batches grow with the load, and an
    item that comes alone waits ``wait`` and no longer. When a batch fails, its halves are computed apart,
    and theirs, until the items that are to blame stand alone: only they fail.

    Args:
        compute: Outcomes of a list of items, in order; called in a thread of its own, never twice at a time.
        size: Most items in a batch.
        wait: Seconds that the first item of a batch waits for others.
        observe: Called with the size of every batch.
    """

    def __init__(
        self,
        compute: Callable[[list[Item]], Sequence[Outcome]],
        *,
        size: int,
        wait: float,
        observe: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._compute = compute
        self._size = size
        self._wait = wait
        self._observe = observe
        self._queue: asyncio.Queue[_Waiting[Item, Outcome]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to work; from within the event loop."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End; what still waits is given up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    @property
    def alive(self) -> bool:
        """Whether items are being worked on."""
        return self._task is not None and not self._task.done()

    @property
    def waiting(self) -> int:
        """Items that no batch has taken yet."""
        return self._queue.qsize()

    async def submit(self, items: Sequence[Item]) -> list[Outcome]:
        """Outcomes of items, in order; when one fails, or the caller is cancelled, the rest is given up.

        Raises:
            Exception: What computing an item alone raised.
        """
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Outcome]] = []
        for item in items:
            futures.append(loop.create_future())
            self._queue.put_nowait(_Waiting(item, loop.time(), futures[-1]))
        try:
            return list(await asyncio.gather(*futures))
        finally:
            for future in futures:
                future.cancel()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._collect()
            items = [entry.item for entry in batch]
            outcomes = await loop.run_in_executor(self._thread, self._outcomes, items)
            for entry, outcome in zip(batch, outcomes, strict=True):
                if entry.future.done():
                    continue
                if isinstance(outcome, Exception):
                    entry.future.set_exception(outcome)
                else:
                    entry.future.set_result(outcome)

    async def _collect(self) -> list[_Waiting[Item, Outcome]]:
        """What is to be computed next; what came during the last computation has waited long enough."""
        loop = asyncio.get_running_loop()
        wait = self._wait if self._queue.empty() else 0.0
        batch: list[_Waiting[Item, Outcome]] = []
        while len(batch) < self._size:
            entry = await self._next(batch[0].since + wait - loop.time() if batch else None)
            if entry is None:
                break
            if not entry.future.done():
                batch.append(entry)
        return batch

    async def _next(self, seconds: float | None) -> _Waiting[Item, Outcome] | None:
        """What stands first in the queue; None when nothing comes for so long."""
        if not self._queue.empty():
            return self._queue.get_nowait()
        if seconds is not None and seconds <= 0:
            return None
        try:
            async with asyncio.timeout(seconds):
                return await self._queue.get()
        except TimeoutError:
            return None

    def _outcomes(self, items: list[Item]) -> list[Outcome | Exception]:
        self._observe(len(items))
        try:
            outcomes = list(self._compute(items))
            if len(outcomes) != len(items):
                raise RuntimeError(f"{len(outcomes)} outcomes for {len(items)} items")
            return [*outcomes]
        except Exception as error:
            if len(items) == 1:
                return [error]
        half = len(items) // 2
        return [*self._outcomes(items[:half]), *self._outcomes(items[half:])]
