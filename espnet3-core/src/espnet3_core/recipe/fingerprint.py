"""What decides whether a stage is up to date, and what changed when it is not.

A fingerprint covers, as named parts so that a change can be told:

* the resolved configuration keys that the stage reads, less the neutral ones;
* ``order.<key>``: the names of a key's entries, where their order counts;
* ``after.<stage>``: digests of the outputs of the stages before it;
* ``file.<path>``: bytes of the files that those keys name, and ``data.<key>``: the fingerprints of the
  datasets that they describe, which cover the manifests;
* ``code.<path>``: bytes of the recipe's own modules that the stage can reach.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from espnet3_core.component import Component
from espnet3_core.recipe.sources import LOCAL_NAMES, has_source
from espnet3_core.specs import StageSpec

_WHOLE_FILE = 64 * 2**20
_BLOCK = 2**16
_BLOCKS = 64

Parts = dict[str, Any]


def digest_of(value: Any) -> str:
    """Digest of a JSON-like value, equal for equal values whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_part(path: Path) -> str:
    """Digest of a file: of all its bytes, or of its size and 64 blocks spread over it when it is large."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        if size <= _WHOLE_FILE:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
        digest = hashlib.sha256(str(size).encode())
        for index in range(_BLOCKS):
            stream.seek(index * (size - _BLOCK) // (_BLOCKS - 1))
            digest.update(stream.read(_BLOCK))
        return digest.hexdigest()[:16]


def outputs_digest(paths: Iterable[Path], root: Path) -> str | None:
    """Digest of the names and contents of files and folders; None when there are none."""
    found: dict[str, str] = {}
    for path in paths:
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            name = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()
            found[name] = file_part(file)
    return digest_of(found) if found else None


def is_below(key: str, patterns: Iterable[str]) -> bool:
    """Whether a dotted key is one of some keys, or stands below one of them."""
    return any(
        key == pattern or key.startswith((f"{pattern}.", f"{pattern}[")) or fnmatchcase(key, pattern)
        for pattern in patterns
    )


def flatten(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a node as (dotted key, value); lists of plain values are leaves."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from flatten(f"{key}.{name}", item)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for index, item in enumerate(value):
            yield from flatten(f"{key}[{index}]", item)
    else:
        yield key, value


def config_parts(stage: StageSpec, nodes: Mapping[str, Mapping[str, Any]]) -> Parts:
    """The keys that count, from the resolved nodes by role."""
    wanted = stage.inputs or stage.roles
    found = {
        key: value
        for role, node in nodes.items()
        for key, value in flatten(role, node)
        if is_below(key, wanted) and not is_below(key, stage.neutral)
    }
    return found | order_parts(stage, found)


def order_parts(stage: StageSpec, parts: Mapping[str, Any]) -> Parts:
    """The order of entries, where it counts and there are several, from parts in the order of the files."""
    found: Parts = {}
    for key in stage.ordered:
        below = (part.removeprefix(f"{key}.") for part in parts if part.startswith(f"{key}."))
        names = dict.fromkeys(part.partition(".")[0] for part in below)
        if len(names) > 1:
            found[f"order.{key}"] = ", ".join(names)
    return found


def file_parts(parts: Mapping[str, Any], directory: Path) -> Parts:
    """Digests of the files that values name, relative to the recipe or absolute."""
    found: Parts = {}
    for value in parts.values():
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str) or not 0 < len(text) < 1024 or "\n" in text or "://" in text:
                continue
            path = directory / text
            try:
                if path.is_file():
                    found[f"file.{text}"] = file_part(path)
            except (OSError, ValueError):
                continue
    return found


def dataset_components(stage: StageSpec, configs: Mapping[str, Any]) -> dict[str, Component]:
    """Datasets below the stage's inputs, by key, from the validated configurations by role."""
    wanted = stage.inputs or stage.roles
    return {
        key: component
        for role, config in configs.items()
        for key, component in _components(role, config)
        if component.slot is not None
        and component.slot.kind == "dataset"
        and component.slot.role != "builder"
        and is_below(key, wanted)
        and not is_below(key, stage.neutral)
    }


def _components(key: str, value: Any) -> Iterator[tuple[str, Component]]:
    if isinstance(value, Component):
        yield key, value
    elif is_dataclass(value) and not isinstance(value, type):
        for item in fields(value):
            yield from _components(f"{key}.{item.name}", getattr(value, item.name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _components(f"{key}.{name}", item)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _components(f"{key}[{index}]", item)


def code_parts(parts: Mapping[str, Any], stage: StageSpec, directory: Path) -> Parts:
    """Digests of the recipe's modules that the stage can reach.

    These are the modules that its keys name (``_target_: src.model.MyModel``), the one that holds its own
    function, ``src/plugin.py``, and all that they import from the recipe, found without running them.
    """
    names = [
        text
        for value in parts.values()
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str) and text.split(".")[0] in LOCAL_NAMES and "." in text
    ]
    run = stage.run.partition(":")[0] if isinstance(stage.run, str) else getattr(stage.run, "__module__", "")
    files: dict[Path, None] = {}
    plugin = ["src.plugin"] if has_source(directory, "plugin") else []
    for name in [*names, run, *plugin]:
        _reach(directory, name, files)
    return {f"code.{file.relative_to(directory).as_posix()}": file_part(file) for file in sorted(files)}


def _reach(directory: Path, name: str, files: dict[Path, None]) -> None:
    """Add the file of a dotted name (its longest part that is a module), its packages and its imports."""
    words = name.split(".")
    if words[0] not in LOCAL_NAMES:
        return
    for count in range(1, len(words) + 1):
        base = directory.joinpath(*words[:count])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file() and file not in files:
                files[file] = None
                package = words[:count] if file.name == "__init__.py" else words[: count - 1]
                for imported in _imports(file, package):
                    _reach(directory, imported, files)


def _imports(file: Path, package: Sequence[str]) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = list(package[: len(package) - node.level + 1]) if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two sets of parts, one line each: ``training.model.layers: 6 -> 12``."""
    lines: list[str] = []
    implied: list[str] = []  # by another value of the key that names the file
    for key in dict.fromkeys([*new, *old]):
        before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if before != after:
            named = not key.startswith("file.") or (naming(key, old) and naming(key, new))
            (lines if named else implied).append(_change(key, before, after))
    return lines or implied


def naming(key: str, parts: Mapping[str, Any]) -> list[str]:
    """Keys among the parts whose value is the path of ``file.<path>``."""
    text = key.removeprefix("file.")
    return [
        name for name, value in parts.items() if value == text or (isinstance(value, list) and text in value)
    ]


def _change(key: str, before: Any, after: Any) -> str:
    group, _, rest = key.partition(".")
    if group == "order":
        return f"the order of {rest}: {before} -> {after}"
    if group == "after":
        return f"stage {rest} is not finished" if after is None else f"stage {rest} has new outputs"
    if group == "code":
        return f"{rest} is gone" if after is _ABSENT else f"{rest} was changed"
    if group in ("file", "data"):
        if after in (_ABSENT, None):
            return f"{rest} cannot be read any more"
        return f"{rest}: its content was changed" if before not in (_ABSENT, None) else f"{rest} is new"
    return f"{key}: {_text(before)} -> {_text(after)}"


class _Absent:
    def __repr__(self) -> str:
        return "(not set)"


_ABSENT = _Absent()


def _text(value: Any) -> str:
    if value is _ABSENT:
        return repr(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
