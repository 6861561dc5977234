"""What a system must offer: stages that can be run, in an order that makes sense."""

from __future__ import annotations

import dataclasses
from pathlib import PurePath
from typing import Any

from espnet3_core.catalog import current_catalog
from espnet3_core.config.fields import hints_of, nested_schema
from espnet3_core.config.roles import SCHEMAS
from espnet3_core.errors import UserError
from espnet3_core.instantiate import locate, parameters_of
from espnet3_core.specs import StageSpec, SystemSpec
from espnet3_core.testing.conformance import Conformance


class SystemConformance(Conformance):
    """Stages and roles of a system."""

    kind = "system"

    def system(self) -> SystemSpec:
        """The record."""
        try:
            spec = current_catalog().find("system", self.name).spec
        except UserError as error:
            self.fail(str(error), "return its record from the hook espnet3_systems")
        assert isinstance(spec, SystemSpec)
        self.expect(spec.stages, "it has no stages", "espnet3_core.recipe.stages has core's own")
        return spec

    def schema(self, role: str) -> Any:
        """The dataclass of a role."""
        target = self.system().schemas.get(role, SCHEMAS.get(role))
        if target is None:
            self.fail(
                f"role {role!r} has no schema",
                f'add schemas={{"{role}": "module:Dataclass"}} to the record; core has {", ".join(SCHEMAS)}',
            )
        return self._located(target)

    def _located(self, target: Any) -> Any:
        try:
            return locate(target, self.name) if isinstance(target, str) else target
        except UserError as error:
            self.fail(error.message, error.hint or "compare the record with the module")

    def test_stages_can_be_called(self) -> None:
        """Distinct names; what they run takes the context."""
        stages = self.system().stages
        names = [stage.name for stage in stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        self.expect(not twice, f"stages {twice} stand in it twice", "give each a name of its own")
        for stage in stages:
            for target in filter(None, (stage.run, stage.when_skipped)):
                function = self._located(target)
                parameters = parameters_of(function) if callable(function) else None
                required = [p for p in parameters or () if p.default is p.empty and p.kind < p.VAR_POSITIONAL]
                self.expect(
                    callable(function) and (parameters is None or len(required) == 1),
                    f"stage {stage.name}: {target} cannot be called with a context",
                    "name a function of one argument, a StageContext",
                )

    def test_stages_follow_what_they_use(self) -> None:
        """``after`` names stages that stand before; outputs are paths below the experiment."""
        stages = self.system().stages
        names = [stage.name for stage in stages]
        for number, stage in enumerate(stages):
            late = [name for name in stage.after if name in names[number:]]
            self.expect(
                not late, f"stage {stage.name} comes before {late}, which it uses", "order the stages"
            )
            self.expect(
                stage.on_stale in ("rerun", "refuse"),
                f"stage {stage.name}: on_stale={stage.on_stale!r}",
                "rerun or refuse",
            )
            outside = [p for p in stage.outputs if PurePath(p).is_absolute() or ".." in PurePath(p).parts]
            self.expect(
                not outside,
                f"stage {stage.name}: outputs {outside}",
                "outputs are relative to the experiment",
            )

    def test_roles_have_schemas(self) -> None:
        """Each role that a stage reads is a dataclass."""
        for role in self.system().roles:
            self.expect(
                dataclasses.is_dataclass(self.schema(role)),
                f"the schema of role {role!r} is no dataclass",
                "write @dataclass(kw_only=True), and extend core's role by inheriting from it",
            )

    def test_keys_exist(self) -> None:
        """Keys that decide whether a stage is up to date are keys of its roles."""
        for stage in self.system().stages:
            for key in (*stage.inputs, *stage.neutral):
                self._check_key(stage, key)

    def _check_key(self, stage: StageSpec, key: str) -> None:
        role, *words = key.split(".")
        self.expect(
            role in stage.roles,
            f"stage {stage.name}: key {key!r} is of a role that it does not read",
            f"its roles are {', '.join(stage.roles)}",
        )
        schema = self.schema(role)
        for word in words:
            if not dataclasses.is_dataclass(schema):
                return  # a component or free keys: what they hold is theirs
            hints = hints_of(schema)  # type: ignore[arg-type]
            self.expect(
                word in hints,
                f"stage {stage.name}: there is no key {key!r}",
                f"{schema} has {', '.join(hints)}",
            )
            schema = nested_schema(hints[word])
