"""Differences between two values of any structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def difference(one: Any, other: Any, tolerance: float = 0.0, place: str = "") -> str | None:
    """Where two values first differ, and by how much; None when they are equal.

    Args:
        one: Tensors, arrays, numbers, texts, and lists, tuples and mappings of these.
        other: The same.
        tolerance: Largest difference of floating-point numbers that is allowed.
        place: Name of the values, for the message.
    """
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        if set(one) != set(other):
            return f"{place or 'it'} has keys {sorted(one)} and {sorted(other)}"
        found = (difference(one[key], other[key], tolerance, f"{place}[{key!r}]") for key in one)
        return next((text for text in found if text), None)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return f"{place or 'it'} has {len(one)} and {len(other)} entries"
        pairs = enumerate(zip(one, other, strict=True))
        found = (difference(a, b, tolerance, f"{place}[{number}]") for number, (a, b) in pairs)
        return next((text for text in found if text), None)
    if _is_numeric(one) and _is_numeric(other):
        return _numeric(_array(one), _array(other), tolerance, place or "it")
    return None if one is other or one == other else f"{place or 'it'} is {one!r} and {other!r}"


def _is_numeric(value: Any) -> bool:
    return isinstance(value, (bool, int, float, np.ndarray, np.generic)) or hasattr(value, "detach")


def _array(value: Any) -> Any:
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _numeric(one: Any, other: Any, tolerance: float, place: str) -> str | None:
    if one.shape != other.shape:
        return f"{place} has shape {one.shape} and {other.shape}"
    if not one.size:
        return None
    if one.dtype.kind not in "fc" and other.dtype.kind not in "fc":
        return None if (one == other).all() else f"{place} is {_shown(one)} and {_shown(other)}"
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(one - other))
    largest = float(np.nan_to_num(apart, nan=np.inf).max())
    return None if largest <= tolerance else f"{place} differs by {largest:.2g}"


def _shown(value: Any) -> str:
    text = repr(value.tolist())
    return text if len(text) < 80 else f"{text[:77]}…"


def not_finite(value: Any, place: str = "it") -> str | None:
    """Where a value holds numbers that are not finite; None when all are."""
    if isinstance(value, Mapping):
        found = (not_finite(entry, f"{place}[{key!r}]") for key, entry in value.items())
        return next((text for text in found if text), None)
    if isinstance(value, list | tuple):
        found = (not_finite(entry, f"{place}[{number}]") for number, entry in enumerate(value))
        return next((text for text in found if text), None)
    if _is_numeric(value) and not np.isfinite(_array(value)).all():
        return place
    return None
