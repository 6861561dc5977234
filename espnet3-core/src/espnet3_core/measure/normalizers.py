"""Text normalizers by name, for metrics."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean


@dataclass(frozen=True)
class Normalizer:
    """A change to a text.

    Attributes:
        name: As in the configuration.
        version: Changes with what it does; recorded beside the scores.
        apply: The function.
    """

    name: str
    version: str
    apply: Callable[[str], str]


@cache
def _is_dropped(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _remove_punctuation(text: str) -> str:
    """Drop punctuation and symbols, but for apostrophes and hyphens between letters or digits."""
    kept = []
    for position, character in enumerate(text):
        if _is_dropped(character):
            inside = (
                0 < position < len(text) - 1 and text[position - 1].isalnum() and text[position + 1].isalnum()
            )
            if not (inside and character in "'\u2019-"):
                # A dash between words that has no spaces around it still separates them.
                kept.append(" " if inside else "")
                continue
        kept.append(character)
    return "".join(kept)


def _strip_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    plain = "".join(character for character in decomposed if not unicodedata.combining(character))
    return unicodedata.normalize("NFC", plain)


def _collapse(text: str) -> str:
    return " ".join(text.split())


NORMALIZERS = {
    normalizer.name: normalizer
    for normalizer in (
        Normalizer("nfc", "1", lambda text: unicodedata.normalize("NFC", text)),
        Normalizer("nfkc", "1", lambda text: unicodedata.normalize("NFKC", text)),
        Normalizer("lower", "1", str.lower),
        Normalizer("upper", "1", str.upper),
        Normalizer("casefold", "1", str.casefold),
        Normalizer("remove_punctuation", "1", _remove_punctuation),
        Normalizer("collapse_whitespace", "1", _collapse),
        Normalizer("remove_spaces", "1", lambda text: re.sub(r"\s+", "", text)),
        Normalizer("strip_accents", "1", _strip_accents),
    )
}
"""Normalizers that core brings."""


def check_name(name: str) -> None:
    """Refuse what is neither one of :data:`NORMALIZERS` nor a component's name.

    Raises:
        UserError: There is no such normalizer.
    """
    if name not in NORMALIZERS and "/" not in name:
        raise UserError(
            f"there is no text normalizer {name!r}",
            hint=did_you_mean(name, NORMALIZERS, otherwise=f"known are {', '.join(NORMALIZERS)}"),
        )


class TextNormalizer:
    """Normalizers in a row.

    Args:
        names: Names of :data:`NORMALIZERS`, or text transforms of plugins (``acme/spell_numbers``).

    Raises:
        UserError: A name is unknown.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.steps = [_find(name) for name in names]

    def __reduce__(self) -> tuple[Any, ...]:
        return TextNormalizer, ([step.name for step in self.steps],)

    def __call__(self, text: str) -> str:
        """The text after all steps."""
        for step in self.steps:
            text = step.apply(text)
        return text

    def describe(self) -> list[dict[str, str]]:
        """Names and versions, in order."""
        return [{"name": step.name, "version": step.version} for step in self.steps]


def _find(name: str) -> Normalizer:
    check_name(name)
    if name in NORMALIZERS:
        return NORMALIZERS[name]
    from espnet3_core.catalog import current_catalog

    provider = current_catalog().find("transform", name, "text", "normalizers").provider
    transform: Any = Component(name=name, slot=Slot("transform", "text"), path="normalizers").build()

    def apply(text: str) -> str:
        # Metrics need one answer per text, so a transform that draws random numbers gets none to draw.
        changed: str = transform({"id": "", "text": text}, None)["text"]
        return changed

    return Normalizer(name, provider.version, apply)
