"""Where in its file each key of a YAML document stands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError

Key = tuple[str | int, ...]
"""A key path: names, and indices of list items."""


def dotted(key: Key) -> str:
    """``("model", "blocks", 0)`` as ``model.blocks.0``."""
    return ".".join(str(part) for part in key)


@dataclass(frozen=True)
class Place:
    """A line of a file, or another source of values (line 0).

    Attributes:
        file: Path, or ``command line``.
        line: From 1; 0 when the source has no lines.
        column: From 1.
    """

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{shown_path(self.file)}:{self.line}" if self.line else self.file


COMMAND_LINE = Place("command line", 0)


def shown_path(path: str | Path) -> str:
    """A path as a user wants to read it: relative when that is shorter."""
    text = os.fspath(path)
    if not os.path.isabs(text):
        return text
    relative = os.path.relpath(text)
    return relative if not relative.startswith("..") and len(relative) < len(text) else text


@dataclass(frozen=True)
class Document:
    """A parsed YAML file.

    Attributes:
        data: Its mapping.
        places: The place of each key and list item.
        file: Path.
    """

    data: dict[str, Any]
    places: Mapping[Key, Place]
    file: str


def read_document(path: str | Path, text: str | None = None) -> Document:
    """Read a YAML file with its places, by the rules of OmegaConf (``1e-3`` is a number).

    Raises:
        UserError: It is missing, not UTF-8, not YAML, or no mapping; file and line are named.
    """
    import yaml
    from omegaconf._utils import get_yaml_loader

    file = os.fspath(path)
    try:
        content = Path(file).read_text(encoding="utf-8") if text is None else text
        loader = get_yaml_loader()(content)
        try:
            node = loader.get_single_node()
            data = {} if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except FileNotFoundError as error:
        raise UserError(f"{shown_path(file)}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{shown_path(file)}: it is not UTF-8 text ({error.reason})") from error
    except yaml.YAMLError as error:
        raise syntax_error(file, error) from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise UserError(f"{shown_path(file)}:1: a mapping is expected, not a {type(data).__name__}")
    places: dict[Key, Place] = {}
    if node is not None:
        _collect(node, (), file, places)
    return Document(data, places, file)


def syntax_error(file: str, error: Exception) -> UserError:
    """PyYAML's error with file, line and column."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
    place = f"{shown_path(file)}:{mark.line + 1}:{mark.column + 1}" if mark else shown_path(file)
    hint = None
    if "cannot start any token" in str(problem) and "\\t" in str(problem):
        hint = "YAML is indented with spaces, not with tabs"
    elif "mapping values are not allowed" in str(problem):
        hint = "a value that contains ': ' must be quoted; and look for a wrong indentation above"
    return UserError(f"{place}: not valid YAML: {problem}", hint=hint)


def _collect(node: Any, key: Key, file: str, places: dict[Key, Place]) -> None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            path = (*key, _scalar(name))
            places[path] = Place(file, name.start_mark.line + 1, name.start_mark.column + 1)
            _collect(value, path, file, places)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            path = (*key, index)
            places[path] = Place(file, value.start_mark.line + 1, value.start_mark.column + 1)
            _collect(value, path, file, places)


def _scalar(node: Any) -> str | int:
    if node.tag == "tag:yaml.org,2002:int":
        try:
            return int(node.value)
        except ValueError:
            return str(node.value)
    return str(node.value)


def place_of(key: Key, places: Mapping[Key, Place]) -> Place | None:
    """The place of a key, or of the nearest key above it that has one."""
    for size in range(len(key), 0, -1):
        if key[:size] in places:
            return places[key[:size]]
    return None
