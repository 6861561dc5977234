"""Which parameters are trained, and with which options: rules over their names."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.optim import Optimizer

from espnet3_core.config.roles import ParameterRule
from espnet3_core.errors import UserError
from espnet3_core.names import closest, did_you_mean

logger = logging.getLogger(__name__)


def match_rules(names: Sequence[str], rules: Sequence[ParameterRule]) -> dict[str, int]:
    """The rule of each parameter that has one: the first that matches its name.

    Raises:
        UserError: A rule matches no parameter, or none that an earlier one has left.
    """
    owner: dict[str, int] = {}
    for index, rule in enumerate(rules):
        matching = [name for name in names if fnmatchcase(name, rule.match)]
        free = [name for name in matching if name not in owner]
        if not free:
            raise _useless(index, rule, names, matching)
        owner.update(dict.fromkeys(free, index))
    return owner


def _useless(index: int, rule: ParameterRule, names: Sequence[str], matching: Sequence[str]) -> UserError:
    place = f"training.parameters.{index}.match: {rule.match!r}"
    if matching:
        return UserError(
            f"{place}: earlier rules take all {len(matching)} parameters that it matches",
            hint="the first matching rule counts: put the more specific ones first",
        )
    return _no_match(place, rule.match, names)


def _no_match(place: str, pattern: str, names: Sequence[str]) -> UserError:
    prefixes = {
        ".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)
    }
    top = sorted({name.split(".")[0] for name in names})
    near = closest(pattern.rstrip("*").rstrip("."), prefixes)
    hint = f"names start with: {', '.join(top)}"
    if near:
        hint = f"did you mean {near if near in names else f'{near}.*'!r}?"
    return UserError(f"{place} matches no parameter of the model", hint=hint)


def share_out(model: nn.Module, patterns: Mapping[str, Sequence[str]]) -> dict[str, dict[str, nn.Parameter]]:
    """The trained parameters of each named optimizer, by parameter name; call it after :func:`freeze`.

    Args:
        model: The network.
        patterns: Patterns over parameter names, by the optimizer's name.

    Raises:
        UserError: A pattern matches nothing, an optimizer has nothing to train, or a trained parameter
            belongs to no optimizer or to more than one.
    """
    named = dict(model.named_parameters())
    trained = {name: value for name, value in named.items() if value.requires_grad}
    owners: dict[str, list[str]] = {name: [] for name in trained}
    for optimizer, own in patterns.items():
        place = f"training.optimizers.{optimizer}.parameters"
        matching: set[str] = set()
        for index, pattern in enumerate(own):
            found = [name for name in named if fnmatchcase(name, pattern)]
            if not found:
                raise _no_match(f"{place}.{index}: {pattern!r}", pattern, list(named))
            matching.update(found)
        if matching.isdisjoint(trained):
            raise UserError(
                f"{place}: all {len(matching)} parameters that it matches are frozen",
                hint="remove this optimizer, or the rule in training.parameters that freezes them",
            )
        for name in matching & set(trained):
            owners[name].append(optimizer)
    _each_once(owners)
    return {
        optimizer: {name: trained[name] for name, (owner,) in owners.items() if owner == optimizer}
        for optimizer in patterns
    }


def _each_once(owners: Mapping[str, Sequence[str]]) -> None:
    free = [name for name, found in owners.items() if not found]
    shared = [f"{name} ({', '.join(found)})" for name, found in owners.items() if len(found) > 1]
    problems = [f"no optimizer trains {_listed(free)}"] if free else []
    problems += [f"more than one optimizer trains {_listed(shared)}"] if shared else []
    if problems:
        raise UserError(
            f"training.optimizers: {'; '.join(problems)}",
            hint="each parameter belongs to exactly one optimizer: change their `parameters`, "
            "or freeze what is not to be trained with a rule in training.parameters",
        )


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def freeze(model: nn.Module, rules: Sequence[ParameterRule]) -> int:
    """Stop the gradients of the parameters whose rule says so; call it before a strategy wraps the model.

    Returns:
        How many numbers are frozen.

    Raises:
        UserError: A rule matches nothing, or nothing is left to train.
    """
    named = dict(model.named_parameters())
    owner = match_rules(list(named), rules)
    frozen = [name for name, index in owner.items() if rules[index].freeze]
    for name in frozen:
        named[name].requires_grad_(False)
    if named and not any(parameter.requires_grad for parameter in named.values()):
        raise UserError(
            "training.parameters: every parameter of the model is frozen", hint="leave something to train"
        )
    count = sum(named[name].numel() for name in frozen)
    if frozen:
        logger.info("frozen: %d parameters in %d tensors", count, len(frozen))
    return count


def parameter_groups(
    model: nn.Module, rules: Sequence[ParameterRule], only: Container[str] | None = None
) -> list[dict[str, Any]]:
    """Trainable parameters as groups: those without options first, then one group for each rule.

    Args:
        model: The network.
        rules: Rules over parameter names.
        only: Names of the parameters to take; None for all.
    """
    owner = match_rules([name for name, _ in model.named_parameters()], rules)
    plain: list[nn.Parameter] = []
    special: dict[int, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad or (only is not None and name not in only):
            continue
        index = owner.get(name)
        if index is None or not rules[index].options:
            plain.append(parameter)
        else:
            special.setdefault(index, []).append(parameter)
    groups: list[dict[str, Any]] = [{"params": plain}] if plain else []
    return groups + [{"params": special[index], **rules[index].options} for index in sorted(special)]


def check_group_options(optimizer: Optimizer, rules: Sequence[ParameterRule]) -> None:
    """Torch takes any key in a group without a word; here an unknown one is an error.

    Raises:
        UserError: An option that the optimizer does not have.
    """
    known: Mapping[str, Any] = optimizer.defaults
    for index, rule in enumerate(rules):
        for key in rule.options:
            used = any(key in group for group in optimizer.param_groups)  # not a rule of another optimizer's
            if used and key not in known:
                raise UserError(
                    f"training.parameters.{index}.options.{key}: not an option of {type(optimizer).__name__}",
                    hint=did_you_mean(key, known, otherwise=f"it has: {', '.join(sorted(known))}"),
                )
