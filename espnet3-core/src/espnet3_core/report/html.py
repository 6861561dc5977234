"""HTML from Python: every text is escaped unless it is :class:`Markup`, so a transcript shows as it is."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any

_VOID = frozenset({"br", "img", "input", "link", "meta"})
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NAME = re.compile(r"[A-Za-z][\w-]*")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: Any) -> Markup:
    """A value as HTML that shows it as it is; what no page may hold (control characters) becomes U+FFFD.

    >>> text("<b> & 'c'")
    '&lt;b&gt; &amp; &#x27;c&#x27;'
    """
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_CONTROLS.sub("\ufffd", str(value))))


def h(tag: str, *children: Any, **attributes: Any) -> Markup:
    """An element.

    Args:
        tag: Its name.
        *children: Markup, lists of children, None (nothing), or anything else, whose text is escaped.
        **attributes: ``class_`` and the like lose their last underscore, others become hyphens; True is an
            attribute without value, None and False none at all.

    >>> h("p", "1 < 2", class_="note", data_step=3)
    '<p class="note" data-step="3">1 &lt; 2</p>'
    """
    head = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{head}>")
    return Markup(f"<{tag}{head}>{join(children)}</{tag}>")


def join(children: Iterable[Any]) -> Markup:
    """Children one after another."""
    parts = []
    for child in children:
        if child is None:
            continue
        flat = isinstance(child, str) or not isinstance(child, Iterable)
        parts.append(text(child) if flat else join(child))
    return Markup("".join(parts))


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    assert _NAME.fullmatch(written), written
    return f" {written}" if value is True else f' {written}="{text(value)}"'


def table(headings: Iterable[Any], rows: Iterable[Iterable[Any]], **attributes: Any) -> Markup:
    """A table that scrolls by itself where it is wider than the page; numbers align right."""
    cells = [[_cell(value) for value in row] for row in rows]
    head = h("thead", h("tr", [h("th", name, scope="col") for name in headings]))
    whole = h("table", head, h("tbody", [h("tr", row) for row in cells]), **attributes)
    return h("div", whole, class_="scroll", tabindex="0", role="group", aria_label="table")


def _cell(value: Any) -> Markup:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return h("td", number_text(value) if number else value, class_="number" if number else None)


def number_text(value: float | None) -> str:
    """A number as people read it: four significant digits, and thousands apart.

    >>> [number_text(value) for value in (4530, 0.0, 12.3456, 2.5e-05, 123456.7, None)]
    ['4,530', '0', '12.35', '2.5e-5', '123,457', 'undefined']
    """
    if value is None:
        return "undefined"
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return re.sub(r"e([+-])0*", lambda match: "e" + match[1].replace("+", ""), f"{value:.4g}")


def missing(words: str, command: str | None = None) -> Markup:
    """What is not there, and what makes it."""
    return h("p", words, [": ", h("code", command)] if command else ".", class_="missing")
