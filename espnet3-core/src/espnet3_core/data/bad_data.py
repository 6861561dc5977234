"""Utterances that cannot be used: what happens to them, the list of them, and when there are too many."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open, disk_errors, make_directory

_log = logging.getLogger(__name__)

OnError = Literal["stop", "skip", "quarantine"]

BAD_DATA = "bad_data"
"""Folder of an experiment with one list per data set: ``train.jsonl``, ``valid.jsonl``."""
_SHOWN = 20


@dataclass(frozen=True)
class BadItem:
    """An utterance that could not be used.

    Attributes:
        id: Utterance id; empty for a line of a manifest that names none.
        reason: What is wrong; names the file.
        place: ``file:line`` of the manifest, where known.
        hint: What to do.
        epoch: The first epoch that goes without it; 0 for one that was bad from the start.
    """

    id: str
    reason: str
    place: str | None = None
    hint: str | None = None
    epoch: int = 0

    def __str__(self) -> str:
        head = f"{self.place}: " if self.place else ""
        who = f"utterance {self.id!r}: " if self.id else ""
        return f"{head}{who}{self.reason}" + (f"\n  -> {self.hint}" if self.hint else "")


def bad_item(error: BaseException, name: str, place: str | None, epoch: int = 0) -> BadItem:
    """What an exception says about an utterance, without repeating its name and place."""
    if not isinstance(error, UserError):
        return BadItem(name, f"{type(error).__name__}: {error}", place, epoch=epoch)
    reason = error.message
    for head in (f"{place}: ", f"utterance {name!r}: "):
        reason = reason.removeprefix(head)
    return BadItem(name, reason, place, error.hint, epoch)


class BadData:
    """The list of one data set's bad utterances.

    The list is a file to which every process of a training appends, so that all of them count the same. It
    is read again whenever one of them finds something new, which is rare, and never otherwise.

    Args:
        policy: ``stop`` raises what is found; ``skip`` lists it and goes on; ``quarantine`` also leaves
            listed utterances out without trying them again, until they are taken off the list.
        limit: Most bad utterances: a number (int), or a share (float), which allows one at least.
        count: Utterances in the data set.
        file: The list; None keeps it in memory.
        name: Of the data set, for messages.
        key: Key path of the policy, for messages.
    """

    def __init__(
        self,
        policy: OnError = "stop",
        limit: int | float = 0.01,
        *,
        count: int = 0,
        file: Path | None = None,
        name: str = "data",
        key: str = "on_error",
    ) -> None:
        self.policy, self.file, self.name, self.key = policy, file, name, key
        self.allowed = allowed(limit, count, self._limit_key)
        self.count = count
        self.items: dict[str, BadItem] = {}
        self._read()

    @property
    def _limit_key(self) -> str:
        return f"{self.key.rpartition('.')[0]}.max_errors".lstrip(".")

    @property
    def tolerant(self) -> bool:
        """Whether bad utterances are left out instead of raised."""
        return self.policy != "stop"

    def start_anew(self, *, write: bool = True) -> None:
        """Begin with the first epoch: what is listed is left out from there on, or forgotten.

        Of several processes, the first one writes.
        """
        kept = self.items.values() if self.policy == "quarantine" else ()
        self.items = {_key(item): BadItem(**{**asdict(item), "epoch": 0}) for item in kept}
        if self.file is None or not self.file.exists() or not write:
            return
        with atomic_open(self.file) as stream:
            stream.writelines(_line(item) for item in self.items.values())

    def quarantined(self, ids: Sequence[str]) -> dict[int, int]:
        """Index of each listed utterance, and the first epoch that leaves it out."""
        if self.policy != "quarantine" or not self.items:
            return {}
        return {
            index: self.items[name].epoch for index, name in enumerate(ids) if name and name in self.items
        }

    def report(self, found: Iterable[BadItem]) -> list[BadItem]:
        """List bad utterances; returns those that were not listed before.

        Raises:
            UserError: The policy is ``stop``, or there are more than the limit: all are named.
        """
        new = [item for item in found if _key(item) not in self.items]
        if not new:
            return []
        if self.policy == "stop":
            raise UserError(str(new[0]), hint=f"{self.key}=skip or quarantine goes on without it")
        self._append(new)
        for item in new:
            _log.warning("%s: left out: %s", self.name, item)
        if len(self.items) > self.allowed:
            raise self._too_many()
        return new

    def _too_many(self) -> UserError:
        listed = [f"  {item}".replace("\n", "\n  ") for item in self.items.values()]
        more = len(listed) - _SHOWN
        rest = [f"  and {more} more" + (f", all in {self.file}" if self.file else "")] if more > 0 else []
        of = f" of {self.count}" if self.count else ""
        return UserError(
            f"{self.name}: {len(self.items)}{of} utterances cannot be used, and {self.allowed} are allowed:\n"
            + "\n".join([*listed[:_SHOWN], *rest]),
            hint=f"mend them (`espnet3 data check` finds all), or raise {self._limit_key}",
        )

    def _append(self, new: Sequence[BadItem]) -> None:
        self._read()
        lines = [_line(item) for item in new if _key(item) not in self.items]
        self.items |= {_key(item): item for item in new if _key(item) not in self.items}
        if self.file is None or not lines:
            return
        make_directory(self.file.parent)
        # One write in append mode: lines of several processes do not mix.
        with disk_errors(self.file), self.file.open("ab", buffering=0) as stream:
            stream.write("".join(lines).encode())

    def _read(self) -> None:
        if self.file is not None and self.tolerant:
            for item in read_bad_items(self.file):
                self.items.setdefault(_key(item), item)

    def refresh(self) -> bool:
        """Take in what other processes have listed; whether anything is listed."""
        self._read()
        return bool(self.items)


def allowed(limit: int | float, count: int, key: str) -> int:
    """How many bad utterances a limit allows in a data set of ``count``.

    Raises:
        UserError: It is negative, or a share above 1.
    """
    if limit < 0 or (isinstance(limit, float) and limit > 1):
        raise UserError(f"{key}: {limit!r} is no limit", hint="a number of utterances (5), or a share (0.01)")
    if isinstance(limit, int) or limit == 0:
        return int(limit)
    return max(1, math.floor(limit * count))


def read_bad_items(file: Path) -> Iterator[BadItem]:
    """The items of a list; a line that was cut off is left out."""
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8").split("\n"):
        with suppress(ValueError, TypeError):
            yield BadItem(**json.loads(line))


def broken_lines(dataset: Any) -> list[BadItem]:
    """Lines of a manifest that were left out when it was read leniently."""
    return [
        BadItem("", finding.message, finding.place, finding.hint)
        for finding in getattr(dataset, "findings", ())
    ]


def _line(item: BadItem) -> str:
    return json.dumps(asdict(item), ensure_ascii=False) + "\n"


def _key(item: BadItem) -> str:
    return item.id or f"{item.place}: {item.reason}"
