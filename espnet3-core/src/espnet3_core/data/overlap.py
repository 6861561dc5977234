"""Utterances of one dataset that are in another, too: by id, or by what their audio files hold."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from espnet3_core.data.dataset import audio_of, ids_of, index_id, known_ids
from espnet3_core.files import sha256_file

_PROBE = 4096
"""Bytes in the middle of two files of one size that are compared before all of them."""


@dataclass(frozen=True)
class Overlap:
    """What two datasets share.

    Attributes:
        ids: Ids that stand in both.
        audio: Ids of the first dataset's utterances whose audio is in the second, and there goes by which id.
    """

    ids: tuple[str, ...]
    audio: dict[str, str]

    def __len__(self) -> int:
        """Utterances of the first dataset that are in the second."""
        return len({*self.ids, *self.audio})


class _Piece(NamedTuple):
    """A part of an audio file, in seconds."""

    name: str
    path: str
    start: float
    end: float


def overlap(dataset: Any, other: Any) -> Overlap:
    """Which utterances of a dataset another one has.

    Audio counts as the same where files are equal byte by byte and the parts of them that are used overlap.
    Only files of equal size are read, so that a large corpus costs little more than looking at their sizes.
    Datasets that do not tell their audio files are compared by ids alone, those without ids of their own
    (whose items are called by their index) not by ids.
    """
    known = set(_own_ids(other))
    ids = tuple(name for name in _own_ids(dataset) if name in known)
    return Overlap(ids, _same_audio([*_pieces(dataset)], [*_pieces(other)]))


def _own_ids(dataset: Any) -> list[str]:
    ids = ids_of(dataset)
    made_up = all(name == index_id(index, len(ids)) for index, name in enumerate(ids))
    return [] if made_up else ids


def _pieces(dataset: Any) -> Iterator[_Piece]:
    for index, name in enumerate(known_ids(dataset)):
        if (place := audio_of(dataset, index)) is not None:
            path, start, end = place
            yield _Piece(name, path, start, math.inf if end is None else end)


def _same_audio(pieces: list[_Piece], others: list[_Piece]) -> dict[str, str]:
    mine, theirs = {piece.path for piece in pieces}, {piece.path for piece in others}
    content = _contents(mine, theirs)
    by_content: dict[str, list[_Piece]] = defaultdict(list)
    for piece in others:
        if piece.path in content:
            by_content[content[piece.path]].append(piece)
    found = {}
    for piece in pieces:
        for other in by_content.get(content.get(piece.path, ""), ()):
            if piece.start < other.end and other.start < piece.end:
                found[piece.name] = other.name
                break
    return found


def _contents(mine: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
    """A digest of each file that has a likely twin on the other side: of equal size and middle."""
    left, right = _by_size(mine), _by_size(theirs)
    found: dict[str, str] = {}
    for size in left.keys() & right.keys():
        probes = [_by_probe(paths, size) for paths in (left[size], right[size])]
        for probe in probes[0].keys() & probes[1].keys():
            for path in {*probes[0][probe], *probes[1][probe]}:
                found[path] = sha256_file(path)
    return found


def _by_size(paths: Iterable[str]) -> dict[int, list[str]]:
    sizes: dict[int, list[str]] = defaultdict(list)
    for path in paths:
        try:
            sizes[os.stat(path).st_size].append(path)
        except OSError:  # a missing file is told by whoever needs it
            continue
    return sizes


def _by_probe(paths: Iterable[str], size: int) -> dict[bytes, list[str]]:
    probes: dict[bytes, list[str]] = defaultdict(list)
    for path in paths:
        with open(path, "rb") as stream:
            stream.seek(max(0, (size - _PROBE) // 2))
            probes[stream.read(_PROBE)].append(path)
    return probes
