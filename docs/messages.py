"""The messages of a package, read from its sources: what is wrong, what to do, and which module says so."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = (ROOT / "espnet3-core/src/espnet3_core", *sorted(ROOT.glob("plugins/*/src/espnet3_*")))
"""Folders of the packages."""
CARRIERS = ("Error", "Finding", "Problem", "Refused", "Failed", "Component")
"""How the names of what carries a message to the user end."""
OPEN = "…"
"""Stands for what a message fills in."""


@dataclass(frozen=True, order=True)
class Message:
    """One message.

    Attributes:
        text: What it says, filled-in parts as ``…``.
        hint: What to do, likewise; empty where the text says it.
        module: The module that it comes from.
    """

    text: str
    hint: str
    module: str


def messages_of(source: Path) -> list[Message]:
    """All messages that a package's sources spell out, in alphabetical order."""
    found: set[Message] = set()
    for file in source.rglob("*.py"):
        module = ".".join(file.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        found |= set(_messages(ast.parse(file.read_text("utf-8")), module))
    return sorted(found)


def _messages(tree: ast.AST, module: str) -> Iterator[Message]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _carries(node.func):
            given = {word.arg: word.value for word in node.keywords}
            first = given.get("message", node.args[0] if node.args else None)
            text = _text(first)
            if text.strip(f"{OPEN}: "):
                hint = _text(given.get("hint"))
                yield Message(text, "" if hint == OPEN else hint, module)


def _carries(name: ast.expr) -> bool:
    return isinstance(name, ast.Name) and name.id.endswith(CARRIERS) and not hasattr(builtins, name.id)


def _text(node: ast.expr | None) -> str:
    """A string as a reader meets it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else OPEN for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _text(node.left) + _text(node.right)
    return OPEN if node is not None else ""


def page(source: Path) -> str:
    """The messages of a package as a table."""
    rows = [
        f"| {_cell(message.text)} | {_cell(message.hint)} | `{message.module}` |"
        for message in messages_of(source)
    ]
    return f"# {source.name}\n\n| the message | what to do | from |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    code = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{code}`" if code else ""
