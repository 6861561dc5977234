"""Ranges of configuration values, checked when a configuration is made."""

from __future__ import annotations

from espnet3_core.errors import UserError


def check_sizes(config: object, *names: str) -> None:
    """Refuse sizes and counts below 1; None passes.

    Raises:
        UserError: A field of ``config`` is too small.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UserError(f"{name} must be at least 1, not {value}")


def check_shares(config: object, *names: str) -> None:
    """Refuse probabilities outside of [0, 1).

    Raises:
        UserError: A field of ``config`` is out of range.
    """
    for name in names:
        value = getattr(config, name)
        if not 0 <= value < 1:
            raise UserError(f"{name} is a probability from 0 up to, but not, 1; it is {value}")
