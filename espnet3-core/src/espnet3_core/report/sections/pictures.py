"""Pictures that were written in validation, and the sounds beside them."""

from __future__ import annotations

from collections.abc import Iterator

from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h
from espnet3_core.report.media import PICTURES
from espnet3_core.report.results import natural

FOLDER = "pictures"
_SHOWN = 12
_SOUNDS = (".wav", ".flac", ".ogg")


def pictures(evidence: Evidence) -> Iterator[Markup]:
    """The latest files of ``pictures/``, where any callback may write; nothing where there are none."""
    folder = evidence.place.experiment.directory / FOLDER
    found = sorted(
        (path for path in folder.glob("*") if path.suffix.lower() in PICTURES),
        key=lambda path: natural(path.name),
        reverse=True,
    )
    if not found:
        return
    if len(found) > _SHOWN:
        yield h("p", f"The last {_SHOWN} of {len(found)} in {FOLDER}/, by name.", class_="note")
    for path in found[:_SHOWN]:
        sounds = [path.with_suffix(suffix) for suffix in _SOUNDS if path.with_suffix(suffix).is_file()]
        players = [evidence.media.recorded(sound, sound.name) for sound in sounds if evidence.media.audio]
        yield h("div", evidence.media.picture(path), players, class_="pictured")
