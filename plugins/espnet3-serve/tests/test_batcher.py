"""Batches form while one is computed; broken items stand alone in the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from espnet3_serve.batcher import Batcher


def run(test: Callable[[Batcher], Awaitable[None]], compute: Callable, **options) -> None:
    async def main() -> None:
        batcher = Batcher(compute, **{"size": 4, "wait": 0.0, **options})
        batcher.start()
        try:
            async with asyncio.timeout(20):
                await test(batcher)
        finally:
            await batcher.stop()

    asyncio.run(main())


class Held:
    """Computes squares, the first batch once it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.begun.set()
        self.go.wait(20)
        return [item**2 for item in items]


def test_what_comes_during_a_computation_is_computed_together():
    held = Held()

    async def test(batcher):
        first = asyncio.create_task(batcher.submit([1]))
        await asyncio.to_thread(held.begun.wait)
        others = [asyncio.create_task(batcher.submit([n])) for n in range(2, 12)]
        await asyncio.sleep(0)
        held.go.set()
        assert await asyncio.gather(first, *others) == [[n**2] for n in range(1, 12)]

    run(test, held, size=8)
    assert held.batches == [[1], [2, 3, 4, 5, 6, 7, 8, 9], [10, 11]]


def test_several_items_of_one_request_keep_their_order():
    async def test(batcher):
        assert await batcher.submit(range(10)) == [n**2 for n in range(10)]

    run(test, lambda items: [item**2 for item in items])


def test_the_first_item_waits_for_others():
    batches = []

    def compute(items):
        batches.append(items)
        return items

    async def test(batcher):
        first = asyncio.create_task(batcher.submit(["a"]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert batches == []
        # The batch is full now, long before its time has come.
        await asyncio.gather(first, batcher.submit(["b"]))

    run(test, compute, size=2, wait=1000.0)
    assert batches == [["a", "b"]]


@pytest.mark.parametrize("broken", [{3}, {0, 7}, set(range(8))])
def test_a_broken_item_fails_alone(broken):
    batches = []

    def compute(items):
        batches.append(items)
        if broken & set(items):
            raise ValueError(f"broken: {sorted(broken & set(items))}")
        return [item**2 for item in items]

    async def test(batcher):
        found = await asyncio.gather(*(batcher.submit([n]) for n in range(8)), return_exceptions=True)
        for number, outcome in enumerate(found):
            if number in broken:
                assert str(outcome) == f"broken: [{number}]"
            else:
                assert outcome == [number**2]

    run(test, compute, size=8, wait=0.01)
    assert len(batches) <= 2 * 8


def test_an_error_gives_up_the_other_items_of_its_request():
    async def test(batcher):
        with pytest.raises(ValueError, match="no"):
            await batcher.submit([1, -1, 2])
        assert await batcher.submit([5]) == [5]

    def compute(items):
        if min(items) < 0:
            raise ValueError("no")
        return items

    run(test, compute)


def test_too_few_outcomes_are_an_error():
    async def test(batcher):
        with pytest.raises(RuntimeError, match="0 outcomes for 1 items"):
            await batcher.submit([1])

    run(test, lambda items: [])


def test_what_was_cancelled_is_not_computed():
    held = Held()

    async def test(batcher):
        first = asyncio.create_task(batcher.submit([1]))
        await asyncio.to_thread(held.begun.wait)
        gone = asyncio.create_task(batcher.submit([2]))
        kept = asyncio.create_task(batcher.submit([3]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        held.go.set()
        assert await asyncio.gather(first, kept) == [[1], [9]]

    run(test, held)
    assert held.batches == [[1], [3]]
