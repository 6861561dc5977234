"""Configuration layers, laid over each other: files in Hydra's order, then the command line.

Mappings merge key by key and everything else is replaced. A layer that changes a node's ``name`` or
``_target_`` replaces the node: keys that belonged to the other component are dropped, and reported.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from espnet3_core.config.places import Key, Place, dotted

IDENTITY = ("name", "_target_")


@dataclass(frozen=True)
class Replaced:
    """A node that a layer gave to another component.

    Attributes:
        key: Dotted path of the node.
        old: Component before.
        new: Component after.
        dropped: Keys of the old node that went with it.
        place: What did it.
    """

    key: str
    old: str
    new: str
    dropped: tuple[str, ...]
    place: Place

    def __str__(self) -> str:
        keys = ", ".join(self.dropped)
        return f"{self.old} became {self.new}, so its keys of lower layers are dropped: {keys}"


def identity(node: Mapping[str, Any]) -> str | None:
    """What a component node names, or None for any other mapping."""
    return next((str(node[key]) for key in IDENTITY if key in node), None)


def replaces(old: Any, new: Any) -> bool:
    """Whether a layer's node names another component than the node below it."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return False
    before, after = identity(old), identity(new)
    if before is None or after is None:
        return False
    # Naming the distribution as well (espnet3-asr:asr/ctc) chooses no other component.
    return before.rpartition(":")[2] != after.rpartition(":")[2]


def merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Two plain nodes, one over the other, by the rules of this module."""
    layers = Layers()
    layers.add(low, {}, Place("", 0))
    layers.add(high, {}, Place("", 0))
    return layers.data


class Layers:
    """A configuration that grows layer by layer.

    Attributes:
        data: The merged configuration.
        origins: For each key path, the place that set it last.
        replaced: Nodes that changed their component.
    """

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.origins: dict[Key, Place] = {}
        self.replaced: list[Replaced] = []

    def add(self, layer: Mapping[str, Any], places: Mapping[Key, Place], otherwise: Place) -> None:
        """Lay a mapping over everything so far; ``otherwise`` is the place of keys without a mark."""
        self._merge(self.data, layer, (), places, otherwise)

    def _merge(
        self,
        low: dict[str, Any],
        high: Mapping[str, Any],
        key: Key,
        places: Mapping[Key, Place],
        otherwise: Place,
    ) -> None:
        for name, value in high.items():
            path = (*key, name)
            below = low.get(name)
            self.origins[path] = places.get(path, otherwise)
            if below is not None and replaces(below, value):
                self._report(path, below, value, places.get(path, otherwise))
                below = None
            if isinstance(below, dict) and isinstance(value, Mapping):
                self._merge(below, value, path, places, otherwise)
                continue
            self._forget(path)
            low[name] = copy.deepcopy(value)
            self._mark(value, path, places, otherwise)

    def _report(self, path: Key, old: Mapping[str, Any], new: Mapping[str, Any], place: Place) -> None:
        dropped = tuple(str(name) for name in old if name not in (*IDENTITY, *new))
        if dropped:
            before, after = str(identity(old)), str(identity(new))
            self.replaced.append(Replaced(dotted(path), before, after, dropped, place))

    def _mark(self, value: Any, path: Key, places: Mapping[Key, Place], otherwise: Place) -> None:
        self.origins[path] = places.get(path, otherwise)
        if isinstance(value, Mapping):
            for name, item in value.items():
                self._mark(item, (*path, name), places, self.origins[path])
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._mark(item, (*path, index), places, self.origins[path])

    def _forget(self, path: Key) -> None:
        size = len(path)
        for key in [key for key in self.origins if len(key) > size and key[:size] == path]:
            del self.origins[key]

    def set(self, path: Key, value: Any, place: Place) -> None:
        """Set one key, making the mappings above it.

        Raises:
            KeyError: Something above it is neither a mapping nor a list with that index; the message says so.
        """
        parent, ancestors = self._parent(path, place)
        name = path[-1]
        if isinstance(parent, list):
            self._set_item(parent, path, value, place)
            return
        layer: dict[str, Any] = {str(name): value}
        if replaces(parent, layer) and name in IDENTITY:
            self._report(ancestors, parent, layer, place)
            parent.clear()
            self._forget(ancestors)
        self._merge(parent, layer, ancestors, {}, place)

    def _set_item(self, parent: list[Any], path: Key, value: Any, place: Place) -> None:
        index = path[-1]
        if not isinstance(index, int) or index > len(parent):
            raise KeyError(f"{dotted(path[:-1])} is a list of {len(parent)} items, without item {index}")
        if index == len(parent):
            parent.append(None)
        holder = {str(index): parent[index]}
        if (
            isinstance(parent[index], dict)
            and isinstance(value, Mapping)
            and not replaces(parent[index], value)
        ):
            value = merged(parent[index], value)
        parent[index] = copy.deepcopy(value)
        del holder
        self._forget(path)
        self._mark(value, path, {}, place)

    def _parent(self, path: Key, place: Place) -> tuple[Any, Key]:
        node: Any = self.data
        walked: list[str | int] = []
        for name in path[:-1]:
            if isinstance(node, list):
                if not isinstance(name, int) or name >= len(node):
                    raise KeyError(
                        f"{dotted(tuple(walked))} is a list of {len(node)} items, without item {name}"
                    )
                node = node[name]
                walked.append(name)
            else:
                name = str(name)
                walked.append(name)
                if node.get(name) is None:
                    node[name] = {}
                    self.origins[tuple(walked)] = place
                node = node[name]
            if not isinstance(node, (dict, list)):
                raise KeyError(f"{dotted(tuple(walked))} is {node!r}, which has no keys")
        if isinstance(node, dict):
            path = (*path[:-1], str(path[-1]))
        return node, tuple(walked)

    def delete(self, path: Key) -> None:
        """Take one key out.

        Raises:
            KeyError: It is not there.
        """
        node: Any = self.data
        for name in path[:-1]:
            node = _child(node, name)
        _child(node, path[-1])
        del node[path[-1]]
        self._forget(path)
        self.origins.pop(path, None)


def _child(node: Any, name: str | int) -> Any:
    if isinstance(node, dict):
        return node[name]
    if isinstance(node, list) and isinstance(name, int) and name < len(node):
        return node[name]
    raise KeyError(name)
