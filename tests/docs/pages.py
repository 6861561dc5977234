"""Pages of the documentation as a reader types them: files are written, commands run, Python executed.

A comment before a block says what else it is: ``<!-- file: PATH -->`` a file, ``<!-- in: PATH -->`` nodes
that are replaced in a YAML file, ``<!-- printed -->`` what the commands before it print, with … for what
differs, and ``<!-- not run: reason -->`` commands that cannot run here; they are parsed all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n+)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: File name of the page.
        line: Where it begins.
        language: ``sh``, ``python``, ``yaml``, ``toml``; others are not looked at.
        text: What it holds.
        note: Comment before it.
    """

    page: str
    line: int
    language: str
    text: str
    note: str

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.page}:{self.line}"

    def noted(self, key: str) -> str | None:
        """What the comment says after ``key:``."""
        return self.note.removeprefix(f"{key}: ") if self.note.startswith(f"{key}: ") else None

    def commands(self) -> list[str]:
        """Its lines, those that are continued joined, comments left out."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        lines = (re.sub(r"(^|\s+)#.*$", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line]


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    content = page.read_text("utf-8")
    return [
        Block(page.name, content.count("\n", 0, found.start("text")), found["language"], found["text"],
              found["note"] or "")
        for found in FENCE.finditer(content)
    ]  # fmt: skip
