"""Configuration of SpecAugment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from espnet3_core.errors import UserError


@dataclass(kw_only=True)
class SpecAugmentConfig:
    """Time warping, frequency masks and time masks, in this order (``speech/specaugment``)."""

    time_warp: int = 0
    """Most frames by which a random point in time is moved; 0 for no warping."""
    freq_masks: int = 2
    """Number of frequency masks."""
    freq_width: tuple[int, int] = (0, 27)
    """Smallest and largest width of a frequency mask, in features."""
    time_masks: int = 2
    """Number of time masks."""
    time_width: tuple[int, int] | None = None
    """Smallest and largest width of a time mask, in frames; instead of time_ratio."""
    time_ratio: tuple[float, float] = (0.0, 0.05)
    """Smallest and largest width of a time mask, as part of the utterance."""
    fill: Literal["mean", "zero"] = "mean"
    """What masked features become: the utterance's mean over all its features, which the normalizer that
    follows moves close to zero; or zero, as in ESPnet."""

    def __post_init__(self) -> None:
        for name in ("time_warp", "freq_masks", "time_masks"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} must not be negative; it is {getattr(self, name)}")
        time = ("time_width", self.time_width) if self.time_width else ("time_ratio", self.time_ratio)
        for name, (low, high) in (("freq_width", self.freq_width), time):
            if not 0 <= low <= high:
                raise UserError(f"{name} from {low} to {high} is no range", hint="0 <= low <= high")
        if self.time_ratio[1] > 1:
            raise UserError(f"time_ratio is a part of the utterance, at most 1; it is {self.time_ratio[1]}")
