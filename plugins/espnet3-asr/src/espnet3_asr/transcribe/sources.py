"""What is to be transcribed: files, folders of files, standard input."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from espnet3_core.data.audio import AUDIO_SUFFIXES
from espnet3_core.data.folders import audio_files, unreadable_files
from espnet3_core.errors import UserError

STDIN = "-"


@dataclass(frozen=True)
class Source:
    """One recording.

    Attributes:
        name: What the user calls it.
        path: Where its bytes are.
        output: Path below an output folder, without suffix.
    """

    name: str
    path: Path
    output: Path


def find_sources(inputs: Sequence[str]) -> tuple[list[Source], list[UserError]]:
    """Files of ``inputs``, folders searched for audio, in order and without repetition; and what is wrong."""
    found: dict[str, Source] = {}
    problems: list[UserError] = []
    for text in inputs:
        path = Path(text)
        if text == STDIN:
            found.setdefault(text, Source("standard input", Path(STDIN), Path("stdin")))
        elif path.is_dir():
            # Those that cannot be read are named when their turn comes.
            files = sorted(path / name for name in [*audio_files(path), *unreadable_files(path)])
            if not files:
                problems.append(
                    UserError(
                        f"{text}: holds no audio files",
                        hint=f"audio ends in {', '.join(sorted(AUDIO_SUFFIXES))}",
                    )
                )
            for file in files:
                found.setdefault(str(file), Source(str(file), file, file.relative_to(path).with_suffix("")))
        elif path.exists():
            found.setdefault(text, Source(text, path, Path(path.stem)))
        else:
            problems.append(UserError(f"{text} does not exist", hint="check the path"))
    return list(found.values()), problems


@contextmanager
def materialized(sources: Sequence[Source]) -> Iterator[list[Source]]:
    """The sources with standard input written to a file, which decoders can seek in."""
    if all(source.path != Path(STDIN) for source in sources):
        yield list(sources)
        return
    with tempfile.TemporaryDirectory(prefix="espnet3-asr-") as folder:
        path = Path(folder) / "stdin"
        path.write_bytes(sys.stdin.buffer.read())
        yield [
            Source(source.name, path, source.output) if source.path == Path(STDIN) else source
            for source in sources
        ]
