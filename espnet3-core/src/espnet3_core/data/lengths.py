"""Durations of audio files from their headers, read by several threads and cached."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data.audio import audio_info
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.files import atomic_open

_THREADS = min(16, 4 * (os.cpu_count() or 1))
_CHUNK = 64

T = TypeVar("T")
R = TypeVar("R")


def cache_directory() -> Path:
    """Where derived data is kept: ``ESPNET3_CACHE``, else ``espnet3`` in the user's cache folder."""
    chosen = os.environ.get("ESPNET3_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "espnet3"


def _threaded(function: Callable[[T], R], values: Sequence[T]) -> list[R]:
    """``map`` by several threads, a chunk of values at a time."""
    chunks = [values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK)]
    with ThreadPoolExecutor(min(_THREADS, max(1, len(chunks)))) as pool:
        done = pool.map(lambda chunk: [function(value) for value in chunk], chunks)
        return [result for results in done for result in results]


def _stat(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def header_durations(
    paths: Sequence[str], *, utterances: Sequence[str], places: Sequence[str], lenient: bool = False
) -> NDArray[np.float64]:
    """Seconds of each file, from its header.

    What was read is cached; a file is read again when its size or modification time has changed.

    Args:
        paths: Audio files, each once.
        utterances: For messages, an utterance of each file.
        places: For messages, the manifest line of that utterance.
        lenient: For a file that is missing or damaged, give what was read when it was not, or NaN.

    Raises:
        CheckFailed: Files are missing or damaged; all of them are listed.
    """
    cache = cache_directory() / "durations" / f"{_key(paths)}.npz"
    findings: dict[int, Finding] = {}

    def read(index: int) -> float:
        try:
            return audio_info(paths[index], utterance=utterances[index]).seconds
        except UserError as error:
            findings[index] = Finding(message=error.message, place=places[index], hint=error.hint)
            return float("nan")

    stats = np.array(_threaded(_stat, paths), np.int64).reshape(-1, 2)
    seconds, former = _cached(cache, stats)
    missing = np.flatnonzero(np.isnan(seconds))
    seconds[missing] = _threaded(read, missing.tolist())
    if findings and not lenient:
        raise CheckFailed(finding for _, finding in sorted(findings.items()))
    failed = list(findings)
    seconds[failed], stats[failed] = former[failed], -1
    if len(missing):
        with suppress(UserError, OSError), atomic_open(cache, "wb") as stream:
            np.savez(stream, stats=stats, seconds=seconds)
    return seconds


def _key(paths: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(paths).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _cached(cache: Path, stats: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Durations known from the cache, of files as they are now and as they were; NaN where unknown.

    A damaged cache counts as none.
    """
    seconds, former = np.full(len(stats), np.nan), np.full(len(stats), np.nan)
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile), np.load(cache) as known:
        if known["stats"].shape == stats.shape and known["seconds"].shape == seconds.shape:
            same = (known["stats"] == stats).all(axis=1) & (stats[:, 0] >= 0)
            former = known["seconds"]
            seconds[same] = former[same]
    return seconds, former
