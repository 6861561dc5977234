"""A place in a configuration that holds another component, chosen by name or by ``_target_``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

TRAINING_ONLY: Mapping[str, Any] = MappingProxyType({"training_only": True})
"""Metadata of a field that plays no part after training: ``field(default=None, metadata=TRAINING_ONLY)``.
Packed models have its default in its place."""


@dataclass(frozen=True)
class Slot:
    """What kind of component a configuration field takes.

    Used in annotations: ``encoder: Annotated[Component, Slot("module", "encoder")]``.

    Attributes:
        kind: A row of :data:`espnet3_core.specs.KINDS`.
        role: For modules and callbacks: ``encoder``, ``frontend``, ``logger`` …
    """

    kind: str
    role: str | None = None

    def __str__(self) -> str:
        return f"{self.role} {self.kind}" if self.role else self.kind


@dataclass(frozen=True)
class Component:
    """A component as a recipe writes it: ``{name: speech/conformer, num_blocks: 12}``.

    Attributes:
        name: Registered name, or None when ``target`` is set.
        target: Import path of a class (``_target_``), for recipe-local code and torch's own classes.
        options: The node's other keys.
        slot: Kind and role that the field takes.
        path: Dotted key path of the node, for messages.
    """

    name: str | None = None
    target: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    slot: Slot | None = None
    path: str = ""

    @classmethod
    def from_node(cls, node: Mapping[str, Any], slot: Slot | None = None, path: str = "") -> Component:
        """Read a configuration node; ``name`` and ``_target_`` are taken out of the options."""
        options = {key: value for key, value in node.items() if key not in ("name", "_target_")}
        return cls(node.get("name"), node.get("_target_"), options, slot, path)

    def to_node(self) -> dict[str, Any]:
        """The plain mapping that :meth:`from_node` reads."""
        head = {"name": self.name} if self.name is not None else {"_target_": self.target}
        return {**head, **self.options}

    @property
    def config(self) -> Any:
        """The validated configuration of a named component (None for ``_target_``)."""
        from espnet3_core.build import component_config

        return component_config(self)

    def build(self, **needs: Any) -> Any:
        """Make the object. ``needs`` that its constructor does not name are left out.

        Raises:
            UserError: The component is unknown, its keys are wrong, or a need is missing.
        """
        from espnet3_core.build import build

        return build(self, needs)
