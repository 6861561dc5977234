"""Component names: ``[distribution:]namespace/ident``, and the nearest name to a misspelt one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from espnet3_core.errors import UserError

_IDENT = r"[a-z][a-z0-9_]*"
_REF = re.compile(
    rf"(?:(?P<distribution>[a-z0-9]+(?:[-_.][a-z0-9]+)*):)?(?P<namespace>{_IDENT})/(?P<ident>{_IDENT})"
)


@dataclass(frozen=True)
class Ref:
    """A parsed component name.

    Attributes:
        namespace: Entry-point name of the plugin that provides it.
        ident: The component's own name.
        distribution: Set when the name is qualified (``dist:namespace/ident``).
    """

    namespace: str
    ident: str
    distribution: str | None = None

    @property
    def name(self) -> str:
        """``namespace/ident``, without the distribution."""
        return f"{self.namespace}/{self.ident}"

    @classmethod
    def parse(cls, text: str, known: Iterable[str] = ()) -> Ref:
        """Parse a name.

        Args:
            text: The name.
            known: Names that may have been meant where ``text`` is none.

        Raises:
            UserError: ``text`` is not a component name.
        """
        match = _REF.fullmatch(text)
        if match is None:
            shape = "names are lower case and look like namespace/name, for example asr/ctc"
            raise UserError(
                f"{text!r} is not a component name", hint=did_you_mean(text.lower(), known, otherwise=shape)
            )
        return cls(match["namespace"], match["ident"], match["distribution"])


def normalize_distribution(name: str) -> str:
    """The canonical spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that the fewest typing mistakes separate from ``word``, or None when none is near."""
    options = sorted(set(candidates))
    whole = _nearest(word, {option: option for option in options})
    # Without its namespace a name may still be meant: conformer for speech/conformer.
    return whole or _nearest(_tail(word), {_tail(option): option for option in options})


def _nearest(word: str, options: Mapping[str, str]) -> str | None:
    limit = max(1, len(word) // 3)
    ranked = sorted((typing_mistakes(word, option), option) for option in options if option)
    return options[ranked[0][1]] if ranked and word and ranked[0][0] <= limit else None


def _tail(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[2]


def typing_mistakes(a: str, b: str) -> int:
    """Letters inserted, left out, replaced, or swapped with their neighbour (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def did_you_mean(word: str, candidates: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """A hint for a misspelt word: the nearest candidate, else ``otherwise``."""
    near = closest(word, candidates)
    return f"did you mean {near!r}?" if near else otherwise
