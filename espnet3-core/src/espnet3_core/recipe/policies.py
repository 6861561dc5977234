"""Which changes a begun training goes on with, as its ``training.resume`` says.

The stage's fingerprint knows which keys were changed, before anything is loaded. What it cannot see (the
number of processes, the ids of a recipe's own dataset, the shapes of the weights) stands in the checkpoint
and is compared there: :mod:`espnet3_core.train.resume`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from espnet3_core.recipe.fingerprint import Parts, is_below, naming

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext

POLICIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "model": ("same_weights", ("training.model", "code")),
    "data": (
        "restart_epoch",
        ("training.dataset", "data.training.dataset", "after.create_dataset", "after.collect_stats"),
    ),
    "batch": (
        "restart_epoch",
        ("training.batch", "training.collator", "training.trainer.accumulate_grad_batches"),
    ),
}
"""Keys of ``training.resume`` with the value that allows a change, and the parts of a fingerprint that may
then be others."""


def allowed(context: StageContext, old: Parts, new: Parts, known: Parts | None = None) -> Parts:
    """The old parts, with those that may have changed as they are now.

    Args:
        context: Of the stage; without the role ``training`` it has no policies.
        old: Parts of the fingerprint that it was begun with.
        new: Those of now.
        known: Those that training went on with since.
    """
    node = context.node("training") if "training" in context.stage.roles else {}
    said = node.get("resume") or {}
    keys = tuple(key for name, (value, keys) in POLICIES.items() if said.get(name) == value for key in keys)
    kept = dict(old)
    for part in {**old, **new}:
        if _covered(part, keys, old, new) or (known is not None and known.get(part) == new.get(part)):
            kept.pop(part, None)
            kept |= {part: new[part]} if part in new else {}
    return kept


def advice(old: Parts, new: Parts) -> str:
    """The policies that would allow what was changed, in words; empty when there are none for it."""
    changed = [part for part in {**old, **new} if old.get(part) != new.get(part)]
    wanted, rest = [], set(changed)
    for name, (value, keys) in POLICIES.items():
        mine = {part for part in rest if _covered(part, keys, old, new)}
        if mine:
            wanted.append(f"training.resume.{name}={value}")
            rest -= mine
    return " ".join(wanted) if wanted and not rest else ""


def _covered(part: str, keys: tuple[str, ...], old: Parts, new: Parts) -> bool:
    """Whether a part stands below some keys; a file does when all keys do that name it."""
    if not part.startswith("file."):
        return is_below(part, keys)
    names = {*naming(part, old), *naming(part, new)}
    return bool(names) and all(is_below(name, keys) for name in names)
