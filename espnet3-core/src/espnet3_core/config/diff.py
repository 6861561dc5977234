"""Differences between two configurations, by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """One key whose values differ; :data:`ABSENT` stands for a key that one side does not have."""

    key: str
    left: Any
    right: Any


def differences(left: Any, right: Any, key: str = "") -> list[Difference]:
    """Compare two plain configurations.

    Mappings are compared key by key whatever their order, lists of mappings item by item, and anything
    else as a whole; ``1`` and ``1.0`` are equal, ``1`` and ``true`` are not.
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        found = []
        for name in dict.fromkeys([*left, *right]):
            path = f"{key}.{name}" if key else str(name)
            found += differences(left.get(name, ABSENT), right.get(name, ABSENT), path)
        return found
    if isinstance(left, list) and isinstance(right, list) and _mappings(left) and _mappings(right):
        found = []
        for index in range(max(len(left), len(right))):
            one, two = (side[index] if index < len(side) else ABSENT for side in (left, right))
            found += differences(one, two, f"{key}.{index}")
        return found
    same = isinstance(left, bool) == isinstance(right, bool) and left == right
    return [] if same else [Difference(key, left, right)]


def _mappings(items: list[Any]) -> bool:
    return any(isinstance(item, Mapping) for item in items)
