"""Which stages a run has: always in the order that the system declares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean
from espnet3_core.recipe.stages import LAST_BY_DEFAULT
from espnet3_core.specs import StageSpec, SystemSpec


def select(
    system: SystemSpec,
    stages: Sequence[str] | None = None,
    from_: str | None = None,
    to: str | None = None,
) -> tuple[StageSpec, ...]:
    """Stages to run.

    Args:
        system: The system.
        stages: Names; ``all`` stands for every stage that need not be named. None takes the range.
        from_: First stage of the range; None for the system's first.
        to: Last stage of the range; None for ``measure``, or for the last stage before those that must
            be named where there is no ``measure`` at or after ``from_``.

    Returns:
        The selected stages in declared order. Stages that must be named (uploads) are never in a range.

    Raises:
        UserError: A name is unknown, or the range is empty.
    """
    names = [stage.name for stage in system.stages]
    _check_known(system, [*(name for name in stages or () if name != "all"), *filter(None, (from_, to))])
    if stages:
        if from_ or to:
            raise UserError("--stages names the stages; --from and --to cannot be added to it")
        wanted = set(stages)
        return tuple(
            stage
            for stage in system.stages
            if stage.name in wanted or ("all" in wanted and not stage.explicit)
        )
    first = names.index(from_) if from_ else 0
    if to:
        last = names.index(to)
    else:
        default = names.index(LAST_BY_DEFAULT) if LAST_BY_DEFAULT in names else len(names) - 1
        last = default if default >= first else len(names) - 1
    if last < first:
        raise UserError(f"--from {from_} comes after --to {to}", hint=f"the order is: {', '.join(names)}")
    return tuple(
        stage for stage in system.stages[first : last + 1] if not stage.explicit or stage.name in (from_, to)
    )


def roles_of(stages: Iterable[StageSpec]) -> list[str]:
    """Roles that some stages read, in order of first use."""
    return list(dict.fromkeys(role for stage in stages for role in stage.roles))


def _check_known(system: SystemSpec, wanted: Iterable[str]) -> None:
    names = [stage.name for stage in system.stages]
    for name in wanted:
        if name not in names:
            listed = f"stages are: {', '.join(names)}"
            near = did_you_mean(name, names)
            raise UserError(
                f"system {system.name} has no stage {name!r}", hint=f"{near} {listed}" if near else listed
            )
