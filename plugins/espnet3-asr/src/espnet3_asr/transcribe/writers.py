"""Where transcripts go: stdout, one file, or a folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from espnet3_core.bundle.subtitles import to_srt, to_vtt
from espnet3_core.bundle.transcript import Transcript
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open, atomic_write_text

from espnet3_asr.transcribe.sources import Source

Writer = Callable[[Source, Transcript], None]


def to_json(transcript: Transcript) -> str:
    """One indented object."""
    return json.dumps(transcript.to_dict(), ensure_ascii=False, indent=2) + "\n"


WHOLE = {"txt": lambda transcript: f"{transcript.text}\n", "json": to_json, "srt": to_srt, "vtt": to_vtt}
"""A file for one transcript, by format."""


@contextmanager
def open_writer(sources: Sequence[Source], form: str, output: str | None) -> Iterator[Writer]:
    """A function that writes transcripts as they come.

    One recording gives its text alone; several give a line each, ``name<TAB>text``. JSON is one array.
    Subtitles of several recordings need a folder.

    Raises:
        UserError: Subtitles of several recordings would go to one file, or files overwrite each other.
    """
    if output is not None and (output.endswith(("/", os.sep)) or Path(output).is_dir()):
        yield _folder_writer(sources, form, Path(output))
        return
    if form in ("srt", "vtt") and len(sources) > 1:
        raise UserError(
            f"one {form} file cannot hold {len(sources)} recordings",
            hint="give --output FOLDER/ for one file each",
        )
    if output is None:
        with _stream_writer(sys.stdout, form, len(sources) > 1) as write:
            yield write
        return
    with atomic_open(output) as stream, _stream_writer(stream, form, len(sources) > 1) as write:
        yield write


def _folder_writer(sources: Sequence[Source], form: str, folder: Path) -> Writer:
    first: dict[Path, Source] = {}
    for source in sources:
        other = first.setdefault(source.output, source)
        if other is not source:
            raise UserError(
                f"{other.name} and {source.name} would both be written to {folder / source.output}.{form}",
                hint="transcribe them one after the other, into different folders",
            )

    def write(source: Source, transcript: Transcript) -> None:
        path = folder / source.output
        atomic_write_text(path.with_name(f"{path.name}.{form}"), WHOLE[form](transcript))

    return write


@contextmanager
def _stream_writer(stream: IO[str], form: str, several: bool) -> Iterator[Writer]:
    count = 0

    def write(source: Source, transcript: Transcript) -> None:
        nonlocal count
        if form == "json":
            stream.write(",\n" if count else "")
            stream.write(json.dumps(transcript.to_dict(), ensure_ascii=False))
        elif form == "txt" and several:
            stream.write(f"{source.name}\t{transcript.text}\n")
        else:
            stream.write(WHOLE[form](transcript))
        stream.flush()
        count += 1

    if form == "json":
        stream.write("[\n")
    yield write
    if form == "json":
        stream.write("\n]\n" if count else "]\n")
