"""What all conformance classes have in common: how the component is named, built, and found wanting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import pytest

from espnet3_core.catalog import current_catalog
from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_core.testing.choices import choices_of


class Conformance:
    """Base of the classes to inherit.

    Attributes:
        name: Name of the component: ``acme/rnn_ctc``.
        config: Its options, as a recipe's YAML would have them. Choose small ones: tests run on a CPU.
        variants: Further options, put over ``config`` one after another: every test runs with each, too.
        choices: Each other value of options that list their values (``bool``, ``Literal``) is a variant, too.
        needs: Runtime needs beside those that the class provides.
        packages: Modules that are imported by the component and need not be installed; its tests are
            skipped where they are not.
    """

    kind: ClassVar[str] = ""
    role: ClassVar[str | None] = None
    name: str = ""
    config: Mapping[str, Any] = {}
    variants: ClassVar[Sequence[Mapping[str, Any]]] = ()
    choices: ClassVar[bool] = False
    needs: Mapping[str, Any] = {}
    packages: Sequence[str] = ()
    folder: Path

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test with ``config`` alone, and with each variant."""
        variants = [*self.variants]
        if self.choices:
            config = getattr(current_catalog().find(self.kind, self.name).spec, "config", None)
            variants += choices_of(config, self.config) if config else ()
        if variants and "chosen" in metafunc.fixturenames:
            labels = [",".join(f"{key}={value}" for key, value in options.items()) for options in variants]
            metafunc.parametrize("chosen", [{}, *variants], ids=["as_given", *labels], indirect=True)

    @pytest.fixture(autouse=True)
    def chosen(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        """Set ``config`` and ``folder``, an empty folder, for one test."""
        if not self.name:
            pytest.fail(
                f"{type(self).__name__} does not say which component it tests\n"
                f'  -> set name = "namespace/ident" of a {self.kind} in the class',
                pytrace=False,
            )
        for package in self.packages:
            pytest.importorskip(package)
        self.folder = tmp_path
        self.config = {**self.config, **getattr(request, "param", {})}

    def known_needs(self) -> dict[str, Any]:
        """Runtime needs that the class provides; ``needs`` are put over them."""
        return {"recipe_dir": self.folder, "experiment": self.folder, "seed": 0, "sample_rate": 8000}

    def component(self) -> Component:
        """The component as a recipe chooses it."""
        node = {**self.config, "name": self.name}
        return Component.from_node(node, Slot(self.kind, self.role), self.name)

    def build(self, **needs: Any) -> Any:
        """The component, built as a recipe would build it."""
        try:
            return self.component().build(**{**self.known_needs(), **self.needs, **needs})
        except UserError as error:
            pytest.fail(
                f"{self.name} cannot be built: {error}\n"
                "  -> `config` of the test class holds its options, `needs` what a recipe's stages provide",
                pytrace=False,
            )

    def fail(self, problem: str, remedy: str) -> NoReturn:
        """Fail the test with what is wrong, and what to do about it."""
        pytest.fail(f"{self.name}: {problem}\n  -> {remedy}", pytrace=False)

    def expect(self, condition: Any, problem: str, remedy: str) -> None:
        """Fail the test unless a condition holds."""
        if not condition:
            self.fail(problem, remedy)
