"""What is to be said: an argument, standard input, or the lines of a file."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from espnet3_core.errors import UserError

STDIN = "-"


@dataclass(frozen=True)
class Text:
    """One text.

    Attributes:
        place: What the user calls it: ``file:line``.
        text: What to say.
        output: Where its audio goes.
    """

    place: str
    text: str
    output: Path


def find_texts(text: str | None, file: str | None, output: str) -> list[Text]:
    """Texts with the files that their audio goes to.

    Raises:
        UserError: There are none, two would go to one file, or the output does not fit.
    """
    if file is None:
        if output.endswith("/") or Path(output).is_dir():
            raise UserError(f"-o {output}: is a folder", hint="name a wav file, or give lines by --file")
        said = sys.stdin.read() if text in (None, STDIN) else text
        place = "standard input" if text in (None, STDIN) else "the text"
        if not said or not said.strip():
            raise UserError(f"{place} is empty: there is nothing to say")
        return [Text(place, said, Path(output))]
    if text is not None:
        raise UserError("both a text and --file were given", hint="leave one of them out")
    if Path(output).is_file() or output.endswith(".wav"):
        raise UserError(f"-o {output}: --file makes several files", hint="give a folder")
    return _lines(Path(file), Path(output))


def _lines(file: Path, folder: Path) -> list[Text]:
    try:
        lines = (sys.stdin.read() if str(file) == STDIN else file.read_text("utf-8")).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None
    digits = len(str(len(lines)))
    found: dict[Path, Text] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, tab, text = line.partition("\t")
        if not tab:
            name, text = str(number).zfill(digits), line
        if not re.fullmatch(r"\w[\w .+-]*", name):
            raise UserError(f"{file}:{number}: {name!r} cannot be the name of a file")
        path = folder / f"{name}.wav"
        if path in found:
            raise UserError(f"{file}:{number}: {name!r} is the name of {found[path].place}, too")
        found[path] = Text(f"{file}:{number}", text, path)
    if not found:
        raise UserError(f"{file}: there is no text in it")
    return list(found.values())
