"""Scales of charts: where a value stands, and which values deserve a line."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_DECADES = 15.0
"""Ratio of the largest to the smallest value from which on an axis is logarithmic."""


@dataclass(frozen=True)
class Axis:
    """A scale.

    Attributes:
        low: Value at ``start``.
        high: Value at ``end``.
        start: Place in pixels.
        end: Place in pixels.
        log: Whether equal ratios are equal distances.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float, *, zero: bool = False) -> Axis:
        """A scale that shows all values, with some room, or from zero on; logarithmic over decades.

        On a logarithmic scale zeros are left out.
        """
        known = sorted(values)
        low, high = known[0], known[-1]
        positive = [value for value in known if value > 0]
        if not zero and low >= 0 and positive and positive[-1] / positive[0] >= _DECADES:
            room = (positive[-1] / positive[0]) ** 0.04
            return cls(positive[0] / room, positive[-1] * room, start, end, log=True)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
        return cls(low if zero and low == 0 else low - room, high + room, start, end)

    def place(self, value: float) -> float:
        """Where a value stands, in pixels."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        return self.start + (self.end - self.start) * (self._scaled(value) - low) / (high - low)

    def shows(self, value: float) -> bool:
        """Whether a value has a place on the scale."""
        return not self.log or value > 0

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the scale, about ``count`` of them."""
        return _powers(self.low, self.high, count) if self.log else steps(self.low, self.high, count)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def steps(low: float, high: float, count: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within two values.

    >>> steps(0.3, 10.4, 5)
    [2.0, 4.0, 6.0, 8.0, 10.0]
    """
    size = 10.0 ** math.floor(math.log10((high - low) / count))
    step = next(size * factor for factor in (1, 2, 5, 10) if (high - low) / (size * factor) <= count)
    digits = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, digits) + 0.0 for number in range(first, last + 1)]


def _powers(low: float, high: float, count: int) -> list[float]:
    """Powers of ten, every one or every so many; with 2 and 5 times of them where they are few."""
    decades = math.log10(high / low)
    factors, every = ((1, 2, 5), 1) if decades <= 2 else ((1,), max(1, round(decades / count)))
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{factor}e{power}") for power in powers if power % every == 0 for factor in factors]
    return [value for value in found if low <= value <= high]
