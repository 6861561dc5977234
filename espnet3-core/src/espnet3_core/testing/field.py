"""What a kind of value must offer: it takes what is right, and tells what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from espnet3_core.errors import UserError
from espnet3_core.testing.conformance import Conformance


class FieldConformance(Conformance):
    """Checks of values.

    Attributes:
        good: Values of this kind.
        bad: Values that are not.
        options: What a place says about its values.
    """

    kind = "field"
    good: ClassVar[Sequence[Any]] = ()
    bad: ClassVar[Sequence[Any]] = ()
    options: ClassVar[Mapping[str, Any]] = {}

    def test_good_values_pass(self) -> None:
        """``check`` is silent."""
        self.expect(self.good, "the test class has no good values", "set good = [...]")
        for value in self.good:
            try:
                self.build().check(value, self.options)
            except UserError as error:
                self.fail(f"{value!r} is refused: {error}", "check(value, options) takes values of the kind")

    def test_bad_values_are_refused(self) -> None:
        """``check`` raises UserError."""
        self.expect(self.bad, "the test class has no bad values", "set bad = [...]")
        for value in self.bad:
            try:
                self.build().check(value, self.options)
            except UserError:
                continue
            self.fail(f"{value!r} passes", "raise UserError for what is not of the kind")
