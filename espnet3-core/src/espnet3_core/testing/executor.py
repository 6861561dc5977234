"""What an executor must offer: every item once, and little lost with a worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from espnet3_core.errors import UserError
from espnet3_core.infer.executors import WorkerLost
from espnet3_core.testing.conformance import Conformance


@dataclass(frozen=True)
class Squares:
    """The work: an item's square, and the process that computed it.

    Attributes:
        deadly: Item whose worker dies.
        wrong: Item that is refused.
    """

    deadly: int | None = None
    wrong: int | None = None

    def __call__(self) -> Callable[[Sequence[int]], list[tuple[int, int]]]:
        """What handles a shard."""
        return self.handle

    def handle(self, shard: Sequence[int]) -> list[tuple[int, int]]:
        """One pair per item."""
        if self.deadly in shard:
            os._exit(3)
        if self.wrong in shard:
            raise UserError(f"item {self.wrong} is wrong", hint="mend it")
        return [(item * item, os.getpid()) for item in shard]


class ExecutorConformance(Conformance):
    """Shards of work.

    Attributes:
        shards: Shards of item numbers.
    """

    kind = "executor"
    shards: ClassVar[Sequence[Sequence[int]]] = ((0, 1, 2), (3,), (4, 5), (6, 7), (8,))

    def run(self, work: Any, shards: Sequence[Sequence[int]]) -> dict[int, Any]:
        """Outcomes by number of the shard."""
        found: dict[int, Any] = {}
        for number, outcome in self.build().run(work, shards):
            self.expect(
                number not in found,
                f"shard {number} comes twice",
                "yield each shard once, also when it was tried again",
            )
            found[number] = outcome
        return found

    def test_all_items_once_and_in_order(self) -> None:
        """One outcome per shard, with its items in their order."""
        found = self.run(Squares(), self.shards)
        missing = sorted(set(range(len(self.shards))) - set(found))
        self.expect(
            not missing, f"shards {missing} have no outcome", "yield (number, outcome) for every shard"
        )
        for number, shard in enumerate(self.shards):
            squares = [pair[0] for pair in found[number]]
            wanted = [item * item for item in shard]
            self.expect(
                squares == wanted,
                f"shard {list(shard)} gives {squares}",
                "hand on each shard as it is, with its number",
            )

    def test_no_work(self) -> None:
        """No shards, no outcomes."""
        self.expect(self.run(Squares(), []) == {}, "no shards give outcomes", "yield nothing")

    def test_errors_of_users_arrive(self) -> None:
        """A UserError in a worker is raised as it is: its message is what the user reads."""
        try:
            self.run(Squares(wrong=4), self.shards)
        except UserError as error:
            whole = error.message == "item 4 is wrong" and error.hint == "mend it"
            self.expect(whole, f"the error arrives as {error!s}", "send it with its message and hint")
        except Exception as error:
            self.fail(
                f"a UserError arrives as {type(error).__name__}: {error}", "raise the error of the worker"
            )
        else:
            self.fail("an error in a worker is lost", "raise it where run() is called")

    def test_a_lost_worker_costs_its_shard_only(self) -> None:
        """A worker that dies at an item: that shard is WorkerLost, all others are done."""
        pid = self.run(Squares(), [[1]])[0][0][1]
        if pid == os.getpid():
            pytest.skip("it works in this process, which cannot outlive itself")
        found = self.run(Squares(deadly=3), self.shards)
        numbers = range(len(self.shards))
        lost = [number for number in numbers if isinstance(found.get(number, WorkerLost("")), WorkerLost)]
        deadly = [number for number in numbers if 3 in self.shards[number]]
        self.expect(
            lost == deadly and len(found) == len(self.shards),
            f"a worker dies in shard {deadly}, and shards {lost} are lost",
            "yield (number, WorkerLost(reason)) for the shard that a worker died of, and give its other "
            "shards to another worker",
        )
