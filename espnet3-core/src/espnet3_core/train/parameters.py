"""Which parameters are trained, and with which options: rules over their names."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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
    prefixes = {
        ".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)
    }
    top = sorted({name.split(".")[0] for name in names})
    near = closest(rule.match.rstrip("*").rstrip("."), prefixes)
    hint = f"names start with: {', '.join(top)}"
    if near:
        hint = f"did you mean {near if near in names else f'{near}.*'!r}?"
    return UserError(f"{place} matches no parameter of the model", hint=hint)


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


def parameter_groups(model: nn.Module, rules: Sequence[ParameterRule]) -> list[dict[str, Any]]:
    """Trainable parameters as groups: those without options first, then one group for each rule."""
    owner = match_rules([name for name, _ in model.named_parameters()], rules)
    plain: list[nn.Parameter] = []
    special: dict[int, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
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
            if key not in known:
                raise UserError(
                    f"training.parameters.{index}.options.{key}: not an option of {type(optimizer).__name__}",
                    hint=did_you_mean(key, known, otherwise=f"it has: {', '.join(sorted(known))}"),
                )
