"""A column of texts in two arrays, so that a million of them are no million objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_BATCH = 4096


class TextColumn:
    """Texts one after the other, decoded when asked for.

    The arrays may be memory-mapped. Pickling copies two arrays, whatever the number of texts.

    Args:
        data: UTF-8 bytes of all texts, uint8.
        ends: Where each text ends in them, shape (texts,), int64.
    """

    def __init__(self, data: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.data, self.ends = data, ends

    @classmethod
    def of(cls, texts: Sequence[str]) -> TextColumn:
        """Pack texts."""
        builder = ColumnBuilder()
        builder.extend(texts)
        return builder.build()

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        start = int(self.ends[index - 1]) if index else 0
        return _text(self.data[start : int(self.ends[index])].tobytes())

    def __iter__(self) -> Iterator[str]:
        start = 0
        for first in range(0, len(self), _BATCH):
            ends = self.ends[first : first + _BATCH].tolist()
            block, offset = self.data[start : ends[-1]].tobytes(), start
            for end in ends:
                yield _text(block[start - offset : end - offset])
                start = end

    def at(self, rows: NDArray[np.int64]) -> Iterator[str]:
        """The texts of some rows."""
        return iter(self) if len(rows) == len(self) else (self[row] for row in rows.tolist())

    def sizes(self) -> NDArray[np.int64]:
        """Bytes of each text."""
        return np.diff(self.ends, prepend=0)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


class ColumnBuilder:
    """Packs texts as they come.

    Args:
        empty: Number of empty texts to begin with.
    """

    def __init__(self, empty: int = 0) -> None:
        self._data = bytearray()
        self._sizes = array("q", bytes(8 * empty))

    def extend(self, texts: Sequence[str]) -> None:
        """Add texts at the end."""
        joined = "".join(texts)
        self._data += joined.encode("utf-8", "surrogatepass")
        if joined.isascii():
            self._sizes.extend(map(len, texts))
        else:
            self._sizes.extend(len(text.encode("utf-8", "surrogatepass")) for text in texts)

    def build(self) -> TextColumn:
        """The column; nothing may be added to it."""
        return TextColumn(
            np.frombuffer(self._data, np.uint8), np.cumsum(np.frombuffer(self._sizes, np.int64))
        )
