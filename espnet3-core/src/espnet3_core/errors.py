"""What can go wrong, as the user sees it: messages that name the place and the mend, and exit codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

EXIT_BUG = 1
EXIT_USER = 2
EXIT_RESUMABLE = 75


class UserError(Exception):
    """Something the user can mend: printed as a message without a traceback, exit code 2.

    Args:
        message: What is wrong, with the file and line, the utterance id or the key path.
        hint: What to do about it; printed on a line of its own.
    """

    exit_code = EXIT_USER

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  -> {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (type(self), self.message, self.hint, dict(self.__dict__)))


def _restore(kind: type[UserError], message: str, hint: str | None, state: dict[str, object]) -> UserError:
    error = kind.__new__(kind)
    UserError.__init__(error, message, hint=hint)
    error.__dict__.update(state)
    return error


class Interrupted(UserError):
    """Stopped by a signal with everything saved: the same command continues. Exit code 75."""

    exit_code = EXIT_RESUMABLE


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One problem that a check found.

    Attributes:
        message: What is wrong, and what was expected.
        level: ``error`` stops a run, ``warning`` does not.
        place: ``file:line`` where it stands, or ``command line``.
        key: Dotted key path, role first: ``training.model.encoder.name``.
        hint: What to do: a did-you-mean, legal values, or a ``pip install`` line.
    """

    message: str
    level: Literal["error", "warning"] = "error"
    place: str | None = None
    key: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        head = f"{self.place}: " if self.place else ""
        key = f"{self.key}: " if self.key else ""
        tail = f"\n  -> {self.hint}" if self.hint else ""
        return f"{head}{key}{self.message}{tail}"


class CheckFailed(UserError):
    """Several problems at once, each a :class:`Finding`."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        count = len(self.findings)
        super().__init__(
            "\n".join([*map(str, self.findings), f"{count} problem{'s' if count != 1 else ''} found"])
        )
