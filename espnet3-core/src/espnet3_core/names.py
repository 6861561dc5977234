"""Component names: ``[distribution:]namespace/ident``, and the nearest name to a misspelt one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
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
    def parse(cls, text: str) -> Ref:
        """Parse a name.

        Raises:
            UserError: ``text`` is not a component name.
        """
        match = _REF.fullmatch(text)
        if match is None:
            raise UserError(
                f"{text!r} is not a component name",
                hint="names are lower case and look like namespace/name, for example asr/ctc",
            )
        return cls(match["namespace"], match["ident"], match["distribution"])


def normalize_distribution(name: str) -> str:
    """The canonical spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like ``word``, or None when nothing is near."""
    options = sorted(set(candidates))
    near = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if near:
        return near[0]
    tails = {option.rpartition("/")[2].rpartition(".")[2]: option for option in options}
    near = difflib.get_close_matches(word.rpartition("/")[2].rpartition(".")[2], list(tails), n=1, cutoff=0.7)
    return tails[near[0]] if near else None


def did_you_mean(word: str, candidates: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """A hint for a misspelt word: the nearest candidate, else ``otherwise``."""
    near = closest(word, candidates)
    return f"did you mean {near!r}?" if near else otherwise
