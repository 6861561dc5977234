"""Scales, alignments and escaping, against brute force."""

from __future__ import annotations

import itertools
import math
import random
from html.parser import HTMLParser

import pytest
from espnet3_core.report.alignment import align, units_of
from espnet3_core.report.axes import Axis
from espnet3_core.report.chart import HEIGHT, WIDTH, Chart, Series, draw
from espnet3_core.report.html import Markup, h, text


@pytest.mark.parametrize("seed", range(20))
def test_ticks_are_round_few_and_within(seed: int) -> None:
    draw_number = random.Random(seed)
    low = draw_number.uniform(-5, 5) * 10 ** draw_number.randint(-6, 6)
    values = [low, low + draw_number.random() * 10 ** draw_number.randint(-5, 7)]
    for zero in (False, True):
        axis = Axis.over(values, 100, 0, zero=zero)
        ticks = axis.ticks()
        assert 2 <= len(ticks) <= 8, (values, ticks)
        assert all(axis.low <= tick <= axis.high for tick in ticks)
        for one, two in itertools.pairwise([] if axis.log else ticks):
            lead = f"{two - one:.3e}"[0]
            assert lead in "125" and two - one == pytest.approx(float(f"{two - one:.0e}"), rel=1e-4)
        assert all(0 <= axis.place(value) <= 100 for value in values)
        assert axis.place(min(values)) >= axis.place(max(values))  # upwards on the screen


def test_an_axis_over_decades_has_equal_distances_for_equal_ratios() -> None:
    axis = Axis.over([1e-6, 1e-2], 0, 400)
    assert axis.log
    assert axis.place(1e-4) - axis.place(1e-5) == pytest.approx(axis.place(1e-3) - axis.place(1e-4))
    assert axis.ticks() == [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]
    assert not axis.shows(0.0)
    assert not Axis.over([-1.0, 1000.0], 0, 1).log


@pytest.mark.parametrize("values", [[0.0], [3.0, 3.0], [5e-9], [-2.0]])
def test_a_single_value_has_an_axis(values: list[float]) -> None:
    axis = Axis.over(values, 100, 0)
    assert 0 < axis.place(values[0]) < 100
    assert all(math.isfinite(tick) for tick in axis.ticks())


def test_everything_drawn_is_inside_the_chart_and_labels_do_not_touch() -> None:
    lines = [
        Series(f"line {n}", [(1.0, 5.0 + n / 100), (900.0, 1.0 + n / 1000)], f"line-{n}") for n in range(4)
    ]
    places: list[tuple[float, float]] = []

    class Collect(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found = dict(attrs)
            for x, y in (("x", "y"), ("x1", "y1"), ("x2", "y2"), ("cx", "cy")):
                if x in found and y in found:
                    places.append((float(found[x] or 0), float(found[y] or 0)))
            if tag == "text" and "label" in (found.get("class") or ""):
                labels.append(float(found["y"] or 0))

    labels: list[float] = []
    Collect().feed(draw(Chart("loss", lines, [(0, 450), (1, 900)], best=((900.0, 1.0), "best: here"))))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert len(labels) == 4
    assert all(b - a >= 12 for a, b in itertools.pairwise(sorted(labels)))


def distance(one: list[str], two: list[str]) -> int:
    """Edit distance by its definition."""
    if not one or not two:
        return len(one) + len(two)
    return min(
        distance(one[1:], two[1:]) + (one[0] != two[0]),
        distance(one[1:], two) + 1,
        distance(one, two[1:]) + 1,
    )


@pytest.mark.parametrize("seed", range(40))
def test_alignments_are_shortest_and_complete(seed: int) -> None:
    pick = random.Random(seed)
    one, two = ([pick.choice("abc") for _ in range(pick.randint(0, 5))] for _ in range(2))
    pairs = align(one, two)
    assert [pair.reference for pair in pairs if pair.edit != "I"] == one
    assert [pair.hypothesis for pair in pairs if pair.edit != "D"] == two
    assert all((pair.reference == pair.hypothesis) == (pair.edit == "=") for pair in pairs)
    assert sum(pair.edit != "=" for pair in pairs) == distance(one, two)


@pytest.mark.parametrize(
    ("reference", "counted", "units"),
    [
        ("a cat", 2, ["a", "cat"]),
        ("a cat", 4, ["a", "c", "a", "t"]),
        ("a cat", 5, ["a", " ", "c", "a", "t"]),
        ("\u6771\u4eac", 2, ["\u6771", "\u4eac"]),
        ("a cat", None, ["a", "cat"]),
        ("dog", 1, ["dog"]),
    ],
)
def test_units_are_those_that_the_metric_counted(
    reference: str, counted: float | None, units: list[str]
) -> None:
    assert units_of(reference, reference, counted) == (units, units)


def test_markup_alone_is_not_escaped() -> None:
    assert h("p", "<i>", Markup("<i></i>"), None, ["&", 1], title='"') == (
        '<p title="&quot;">&lt;i&gt;<i></i>&amp;1</p>'
    )
    assert text("a\x00\x1b\ud800b") == "a\ufffd\ufffd\ufffdb"
