"""What a check of data can find, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["error", "warning"]
Role = Literal["train", "valid", "test"]

KINDS: dict[str, tuple[Level, str]] = {
    "listing": ("error", "correct the line of the manifest"),
    "duplicate id": ("error", "give each utterance an id of its own"),
    "missing": ("error", "copy the file, or take the line out; paths start from the manifest or from `root`"),
    "empty": ("error", "copy the file again, or take the line out"),
    "truncated": ("error", "copy the file again, or take the line out"),
    "damaged": ("error", "copy or convert the file again, or take the line out"),
    "not finite": ("error", "write the file again without NaN and infinity, or take the line out"),
    "segment": ("error", "correct start and end, in seconds"),
    "rate": ("error", "set `resample: soxr` on the dataset, or convert the files"),
    "mixed rates": ("warning", "files of a low rate lack high frequencies: make sure that this is meant"),
    "channels": ("error", "set `channels: first` or `mean` on the dataset, or convert the files"),
    "mixed channels": ("warning", "make sure that the channel that is used holds the speech"),
    "silent": ("warning", "take the line out, or record it again"),
    "clipped": ("warning", "find a recording with a lower level, or accept the distortion"),
    "same audio": ("error", "take the utterance out of one of the sets"),
    "no text": ("error", "give the utterance a text, or take the line out"),
    "characters": ("warning", "clean the text with `preprocess`, or train the tokenizer on more text"),
    "failed check": ("error", "see espnet3 doctor"),
}
"""Level and mend of each kind. An ``error`` stops a run or spoils its results; a ``warning`` does neither."""


@dataclass(frozen=True, kw_only=True)
class DataFinding:
    """One thing that is wrong with one utterance.

    Attributes:
        kind: A key of :data:`KINDS`, or a plugin's own.
        reason: What is wrong.
        split: ``train``, ``valid`` or ``test/<name>``.
        id: Utterance id; None for a line that has none.
        place: ``file:line`` of the manifest.
        audio: The audio file.
        level: ``error`` or ``warning``.
        hint: What to do.
    """

    kind: str
    reason: str
    split: str
    id: str | None = None
    place: str | None = None
    audio: str | None = None
    level: Level = "error"
    hint: str | None = None


@dataclass(frozen=True)
class CheckedItem:
    """An utterance as checks see it.

    Attributes:
        id: Utterance id.
        place: ``file:line`` of the manifest, where known.
        audio: The audio file, where there is one.
        fields: Its fields except audio, texts cleaned as the recipe does it.
        samples: Its length at the recipe's sample rate; None where it could not be read.
    """

    id: str
    place: str | None
    audio: str | None
    fields: Mapping[str, Any]
    samples: int | None

    def finding(
        self, kind: str, reason: str, split: str, *, level: Level | None = None, hint: str | None = None
    ) -> DataFinding:
        """A finding about this utterance; level and hint are those of the kind unless given."""
        usual_level: Level
        usual_level, mend = KINDS.get(kind, ("error", ""))
        return DataFinding(
            kind=kind,
            reason=reason,
            split=split,
            id=self.id,
            place=self.place,
            audio=self.audio,
            level=level or usual_level,
            hint=hint or mend or None,
        )
