"""What ``espnet3 plugin new`` can write: a working component of each kind, from templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Part:
    """One component of a new package.

    Attributes:
        kind: Its kind.
        ident: Its name without the namespace.
        module: Module of the package that holds it.
        attribute: Class or function there; of a system, its record.
        config: Name of its dataclass of options in ``<module>_config``; None when it takes none.
        summary: One line for ``espnet3 list``.
        record: Further fields of its record.
        requires: What the package needs for it.
        brings: Kinds that it cannot do without.
    """

    kind: str
    ident: str
    module: str
    attribute: str
    config: str | None = None
    summary: str = ""
    record: Mapping[str, str] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    brings: tuple[str, ...] = ()


def _part(
    kind: str, attribute: str, ident: str, summary: str, requires: str = "", brings: str = "", **record: str
) -> Part:
    return Part(
        kind=kind,
        ident=ident,
        module=kind,
        attribute=attribute,
        config=None if kind == "system" else f"{attribute[0].upper()}{attribute[1:]}Config",
        summary=summary,
        record=record,
        requires=tuple(requires.split()),
        brings=tuple(brings.split()),
    )


_TORCH, _NUMPY, _LIGHTNING = "torch>=2.4", "numpy>=2", "lightning>=2.5"
PARTS: Mapping[str, Part] = {
    part.kind: part
    for part in (
        _part("dataset", "Tones", "tones", "Sine tones named by their pitch", _NUMPY),
        _part("model", "SmallCTC", "small_ctc", "A small recurrent recogniser", _TORCH),
        _part("module", "Framewise", "framewise", "An encoder of single frames", _TORCH, role="encoder"),
        _part("tokenizer", "Characters", "characters", "Characters as tokens"),
        _part("transform", "Polarity", "polarity", "The sign of samples turned", _NUMPY, domain="audio"),
        _part("collator", "PadToMultiple", "pad_to_multiple", "Padding to round lengths", _TORCH),
        _part("search", "BlankPenalty", "blank_penalty", "Greedy CTC, blanks discouraged", _TORCH, "model"),
        _part("metric", "ExactMatch", "exact_match", "Percentage of texts that are right as a whole"),
        _part("publisher", "ZipFile", "zip_file", "The bundle in one file"),
        _part("optimizer", "nesterov", "nesterov", "Gradient descent with Nesterov's momentum", _TORCH),
        _part("scheduler", "Stepwise", "stepwise", "A rate that goes down in steps", _TORCH),
        _part("callback", "EpochClock", "epoch_clock", "Times of epochs in the log", _LIGHTNING),
        _part("executor", "Pool", "pool", "Processes of Python's own pool"),
        _part("system", "SYSTEM", "system", "From audio to text, with core's stages"),
    )
}
"""By kind. Fields are left out: core has no use for a new one yet."""


def parts_of(kinds: Sequence[str]) -> list[Part]:
    """The components of some kinds, and of the kinds that those need, in the order of the table.

    Raises:
        UserError: There is no such kind, or none is asked for; the message lists them.
    """
    listed = f"kinds are: {', '.join(PARTS)}"
    if not kinds:
        raise UserError("--kinds is empty", hint=listed)
    for kind in kinds:
        if kind not in PARTS:
            near = did_you_mean(kind, PARTS)
            raise UserError(
                f"there is no template for the kind {kind!r}", hint=f"{near} {listed}" if near else listed
            )
    wanted = {*kinds, *(other for kind in kinds for other in PARTS[kind].brings)}
    return [part for kind, part in PARTS.items() if kind in wanted]
