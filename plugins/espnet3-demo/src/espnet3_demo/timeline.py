"""Segments as a timeline: HTML that is as wide as the recording is long."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

PIXELS_PER_SECOND = 90
"""Least width, so that words do not lie over each other; what is wider scrolls."""
_LANE, _TOP = 30, 4
STYLE = """
.timeline { overflow-x: auto; padding: 24px 0 4px; }
.timeline .track { position: relative; min-width: 100%; }
.timeline .segment { position: absolute; height: 26px; line-height: 26px; box-sizing: border-box;
  padding: 0 4px;
  overflow: hidden; white-space: nowrap; text-overflow: ellipsis; text-align: center; font-size: 13px;
  border-radius: 3px; border: 1px solid var(--primary-400); color: var(--body-text-color);
  background: color-mix(in srgb, var(--primary-500) 18%, transparent); }
.timeline .tick { position: absolute; top: 0; bottom: 0; padding-left: 3px; font-size: 11px;
  display: flex; align-items: flex-end; color: var(--body-text-color-subdued);
  border-left: 1px solid var(--border-color-primary); }
"""


class Segment(NamedTuple):
    """A stretch of time.

    Attributes:
        text: What is there.
        start: Seconds.
        end: Seconds.
    """

    text: str
    start: float
    end: float


def segments_of(value: Iterable[Mapping[str, Any]]) -> list[Segment]:
    """Segments from the entries of a result: ``start``, ``end`` and the first text among the others."""
    found = []
    for entry in value:
        texts = (item for key, item in entry.items() if key not in ("start", "end") and isinstance(item, str))
        found.append(Segment(next(texts, ""), float(entry["start"]), float(entry["end"])))
    return sorted(found, key=lambda segment: (segment.start, segment.end))


def lanes_of(segments: Sequence[Segment]) -> list[int]:
    """A lane for each segment, in which nothing else lies at that time; segments are sorted by start.

    >>> lanes_of([Segment("a", 0.0, 2.0), Segment("b", 1.0, 3.0), Segment("c", 2.0, 4.0)])
    [0, 1, 0]
    """
    free_from: list[float] = []
    lanes = []
    for segment in segments:
        lane = next((n for n, end in enumerate(free_from) if end <= segment.start), len(free_from))
        free_from[lane : lane + 1] = [segment.end]
        lanes.append(lane)
    return lanes


def timeline(segments: Sequence[Segment], seconds: float) -> str:
    """HTML of segments.

    Args:
        segments: Sorted by start.
        seconds: Duration of the recording; 0 where it is not known.
    """
    if not segments:
        return ""
    length = max(seconds, *(segment.end for segment in segments), 0.01)
    lanes = lanes_of(segments)
    height = _TOP + _LANE * (max(lanes) + 1) + 16
    parts = [_tick(time, length) for time in _ticks(length)]
    parts += [_box(segment, lane, length) for segment, lane in zip(segments, lanes, strict=True)]
    width = math.ceil(length * PIXELS_PER_SECOND)
    return (
        f'<div class="timeline"><div class="track" style="width:{width}px;height:{height}px">'
        f"{''.join(parts)}</div></div>"
    )


def _box(segment: Segment, lane: int, length: float) -> str:
    text = html.escape(segment.text)
    left, width = 100 * segment.start / length, 100 * (segment.end - segment.start) / length
    style = f"left:{left:.3f}%;width:{width:.3f}%;top:{_TOP + _LANE * lane}px"
    title = f"{text} {segment.start:.2f} to {segment.end:.2f} s"
    return f'<div class="segment" style="{style}" title="{title}">{text}</div>'


def _tick(time: float, length: float) -> str:
    return f'<div class="tick" style="left:{100 * time / length:.3f}%">{time:g} s</div>'


def _ticks(length: float) -> list[float]:
    step = next((step for step in (0.5, 1.0, 5.0, 10.0) if length / step <= 12), 30.0)
    return [round(number * step, 3) for number in range(math.ceil(length / step))]
