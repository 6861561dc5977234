"""One role's configuration from its files, the plugins' config groups and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3_core.config.interpolation import resolve
from espnet3_core.config.layers import Layers, Replaced
from espnet3_core.config.overrides import Override, apply_overrides
from espnet3_core.config.places import Key, Place, dotted, place_of, read_document
from espnet3_core.errors import Finding


@dataclass(frozen=True)
class Composed:
    """A composed configuration.

    Attributes:
        node: Plain resolved mapping.
        origins: Place that set each key, by dotted key without the role.
        files: Files in merge order, lowest layer first.
        replaced: Nodes that a layer gave to another component.
        findings: Overrides that do not apply, and interpolations that fail.
    """

    node: dict[str, Any]
    origins: Mapping[str, Place]
    files: tuple[str, ...]
    replaced: tuple[Replaced, ...] = ()
    findings: tuple[Finding, ...] = ()

    def place(self, key: str) -> str | None:
        """``file:line`` of a dotted key, or of the nearest key above it; else the last file's first line."""
        places: dict[Key, Place] = {tuple(name.split(".")): place for name, place in self.origins.items()}
        found = place_of(tuple(key.split(".")), places)
        if found is not None:
            return str(found)
        return str(Place(self.files[-1], 1)) if self.files else None


def compose(
    conf: Path,
    stem: str,
    role: str,
    overrides: Sequence[Override] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Composed:
    """Compose one role.

    Args:
        conf: Folder of the primary file; config groups are looked up there, then in the plugins.
        stem: Stem of the primary file.
        role: Role, for key paths.
        overrides: Overrides of this role. One that sets a group of the defaults list to the name of a file
            (``training.model=asr/small``) chooses that file.
        defaults: Values that interpolations see where the files set nothing.

    Raises:
        UserError: A file cannot be read, or a defaults list names one that does not exist.
    """
    primary = read_document(conf / f"{stem}.yaml")
    layers = Layers()
    names: list[str] = []
    rest = list(overrides)
    if primary.data.get("defaults") is None:
        layers.add(_without_defaults(primary.data), primary.places, Place(primary.file, 1))
        names.append(primary.file)
    else:
        from espnet3_core.config.hydra_defaults import pieces

        found = pieces(conf, stem)
        groups = {piece.group for piece in found}
        chosen = [item for item in overrides if _chooses_file(item, groups)]
        if chosen:
            found = pieces(conf, stem, [f"{item.key[0]}={item.value}" for item in chosen])
            rest = [item for item in overrides if item not in chosen]
        for piece in found:
            layer: Any = _without_defaults(piece.document.data)
            for name in reversed(piece.package):
                layer = {name: layer}
            places = {(*piece.package, *key): place for key, place in piece.document.places.items()}
            layers.add(layer, places, Place(piece.document.file, 1))
            names.append(piece.document.file)
    findings = apply_overrides(layers, rest)
    node, failures = resolve(layers.data, role, defaults or {})
    origins = {dotted(key): place for key, place in layers.origins.items()}
    return Composed(
        node, origins, tuple(dict.fromkeys(names)), tuple(layers.replaced), (*findings, *failures)
    )


def _without_defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "defaults"}


def _chooses_file(override: Override, groups: set[str | None]) -> bool:
    return isinstance(override.value, str) and len(override.key) == 1 and override.key[0] in groups
