"""Line charts as inline SVG: values over steps, with epochs above, lines named where they end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from espnet3_core.report.axes import Axis
from espnet3_core.report.html import Markup, h, number_text
from espnet3_core.report.journal import Point, thinned

WIDTH, HEIGHT = 480, 270
LEFT, TOP, BOTTOM = 58, 28, 40
FAINT = "faint"
"""Look of a line behind the others."""

_LETTER = 6.6
"""Width of a letter of a label, on average and in pixels of the drawing."""
_LINE = 14
"""Height of a label."""


@dataclass(frozen=True)
class Series:
    """A line.

    Attributes:
        label: What stands at its end; empty for none.
        points: Steps and values, by step.
        look: Class of its look: ``train``, ``valid``, ``faint``, or ``line-0`` and so on.
        dots: Whether each point is marked.
        told: What it is called where its values are told; its label unless given.
    """

    label: str
    points: Sequence[Point]
    look: str
    dots: bool = False
    told: str = ""


@dataclass(frozen=True)
class Chart:
    """What is drawn.

    Attributes:
        title: What the values are.
        series: Lines, the last on top.
        epoch_ends: Epochs with their last steps, for the axis above.
        best: The point to mark, and what is said of it.
        zero: Whether the axis of values begins at zero.
        percent: Whether values are shares, shown in percent.
        notes: What else to know, below the chart.
    """

    title: str
    series: Sequence[Series]
    epoch_ends: Sequence[tuple[int, int]] = ()
    best: tuple[Point, str] | None = None
    zero: bool = False
    percent: bool = False
    notes: Sequence[str] = field(default=())


def draw(chart: Chart) -> Markup:
    """The chart as a ``figure``."""
    values = [value for line in chart.series for _, value in line.points]
    last = max(step for line in chart.series for step, _ in line.points)
    room = max([*(len(line.label) for line in chart.series), 1]) * _LETTER + 16
    across = Axis(0.0, last or 1.0, LEFT, WIDTH - room)
    upright = Axis.over(_scaled(chart.series), HEIGHT - BOTTOM, TOP, zero=chart.zero)
    notes = list(chart.notes)
    if max(values) > upright.high:
        notes.append(f"the faint line begins above the axis, at {_value(max(values), chart)}")
    if any(not upright.shows(value) for value in values):
        notes.append("zeros have no place on a logarithmic axis")
    unit = ", %" if chart.percent else ""
    scale = ", logarithmic axis" if upright.log else ""
    drawing = h(
        "svg",
        _grid(across, upright, chart),
        [_line(line, across, upright) for line in chart.series],
        _best(chart.best, across, upright) if chart.best else None,
        _labels(chart, across, upright),
        h("line", class_="cursor", y1=TOP, y2=HEIGHT - BOTTOM, visibility="hidden"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=summary(chart), tabindex="0",
        data_plot=_plot(chart, across),
    )  # fmt: skip
    said = chart.best[1] if chart.best else ""
    return h(
        "figure",
        h("figcaption", h("h3", chart.title, h("small", f"{unit}{scale}"))),
        drawing,
        [h("p", note, class_="note") for note in notes],
        h("p", said, class_="readout", aria_live="polite", data_said=said),
        class_="chart",
    )


def _scaled(series: Sequence[Series]) -> list[float]:
    """Values that the axis shows: of a faint line only what does not flatten the others."""
    strong = [value for line in series if line.look != FAINT for _, value in line.points]
    values = [value for line in series for _, value in line.points]
    flattened = strong and max(values) - min(values) > 3 * (max(strong) - min(strong)) > 0
    return strong if flattened else values


def summary(chart: Chart) -> str:
    """The chart in a sentence, for those who cannot see it."""
    told = []
    for line in chart.series:
        if line.label and line.points:
            first, last = (_value(line.points[place][1], chart) for place in (0, -1))
            told.append(
                f"{line.label} from {first} to {last}" if len(line.points) > 1 else f"{line.label} {last}"
            )
    told += [chart.best[1]] if chart.best else []
    return f"{chart.title} over steps: {'; '.join(told)}"


def _grid(across: Axis, upright: Axis, chart: Chart) -> Markup:
    """Light lines at round values and at ends of epochs, with what they stand for."""
    floor, right = HEIGHT - BOTTOM, _px(across.end)
    parts = []
    for value in upright.ticks():
        y = _px(upright.place(value))
        parts.append(h("line", class_="grid", x1=LEFT, x2=right, y1=y, y2=y))
        parts.append(_text(_value(value, chart, axis=True), "y", LEFT - 6, y + 4))
    for value in across.ticks(4):
        parts.append(_text(f"{value:,.0f}", "x", across.place(value), floor + 16))
    for epoch, step in _shown_epochs(chart.epoch_ends):
        x = _px(across.place(step))
        parts.append(h("line", class_="grid", x1=x, x2=x, y1=TOP, y2=floor))
        parts.append(_text(epoch, "x", x, TOP - 6))
    parts.append(h("line", class_="axis", x1=LEFT, x2=right, y1=floor, y2=floor))
    parts.append(_text("step", "x", (LEFT + across.end) / 2, HEIGHT - 6))
    if chart.epoch_ends:
        parts.append(_text("epoch", "y", LEFT - 6, TOP - 6))
    return h("g", parts)


def _text(words: object, kind: str, x: float, y: float) -> Markup:
    return h("text", words, class_=kind, x=_px(x), y=_px(y))


def _shown_epochs(ends: Sequence[tuple[int, int]], most: int = 6) -> list[tuple[int, int]]:
    """Some of the epochs, evenly, beginning with 0."""
    for every in (factor * 10**power for power in range(7) for factor in (1, 2, 5)):
        if len(shown := [(epoch, step) for epoch, step in ends if epoch % every == 0]) <= most:
            return shown
    return []


def _line(line: Series, across: Axis, upright: Axis) -> Markup:
    places = [
        (_px(across.place(step)), _px(upright.place(value)))
        for step, value in thinned(line.points)
        if upright.shows(value) and value <= upright.high
    ]
    path = "M" + "L".join(f"{x} {y}" for x, y in places) if places else ""
    lone = len(places) == 1
    marks = (
        [h("circle", cx=x, cy=y, r=2.4) for x, y in places]
        if lone or (line.dots and len(places) <= 80)
        else []
    )
    return h("g", h("path", d=path) if not lone else None, marks, class_=f"line {line.look}")


def _best(best: tuple[Point, str], across: Axis, upright: Axis) -> Markup | None:
    (step, value), words = best
    if not upright.shows(value):
        return None
    x, y = across.place(step), upright.place(value)
    high = y < (upright.start + upright.end) / 2
    text_y = upright.start - 8 if high else upright.end + 14
    late = x > (across.start + across.end) / 2
    return h(
        "g",
        h("line", x1=_px(x), x2=_px(x), y1=TOP, y2=HEIGHT - BOTTOM),
        h("circle", cx=_px(x), cy=_px(y), r=5),
        _text(words.partition(":")[0], "end" if late else "start", x + (-6 if late else 6), text_y),
        class_="best",
    )


def _labels(chart: Chart, across: Axis, upright: Axis) -> Markup:
    """Names at the ends of lines, moved apart where they would cover each other."""
    wanted = []
    for line in chart.series:
        shown = [point for point in line.points if upright.shows(point[1])]
        if line.label and shown:
            wanted.append((upright.place(shown[-1][1]), line))
    wanted.sort(key=lambda entry: entry[0])
    places: list[float] = []
    for y, _ in wanted:
        places.append(max(y, places[-1] + _LINE) if places else y)
    limit = upright.start
    for index in reversed(range(len(places))):
        places[index] = min(places[index], limit)
        limit = places[index] - _LINE
    return h(
        "g",
        [
            h("text", line.label, class_=f"label {line.look}", x=_px(across.end + 9), y=_px(y + 4))
            for y, (_, line) in zip(places, wanted, strict=True)
        ],
    )


def _plot(chart: Chart, across: Axis) -> str:
    """What the script needs to tell the values under the pointer."""
    lines = [
        [
            line.told or line.label or chart.title,
            [[int(step), _value(value, chart)] for step, value in thinned(line.points)],
        ]
        for line in chart.series
    ]
    return json.dumps({"x": [across.low, across.high, across.start, across.end], "lines": lines})


def _value(value: float, chart: Chart, *, axis: bool = False) -> str:
    if chart.percent:
        return f"{100 * value:.3g}" + ("" if axis else " %")
    return number_text(value)


def _px(value: float) -> float:
    return round(value, 1)
