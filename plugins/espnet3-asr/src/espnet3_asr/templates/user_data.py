"""What the user gave ``espnet3 new recipe``: a manifest, a Kaldi directory or a folder of audio, checked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from espnet3_core.data.audio import OVERSHOOT, AudioInfo, audio_info
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.kaldi import CHANNEL_COLUMN
from espnet3_core.data.manifest import Manifest
from espnet3_core.errors import CheckFailed, Finding, UserError


@dataclass(frozen=True)
class Utterance:
    """One line of the user's data.

    Attributes:
        id: Its name.
        path: Absolute path of its audio file.
        text: What is said in it.
        seconds: Its duration.
        speaker: Who says it; empty where the data do not tell.
        start: Where it begins in the file, in seconds.
        end: Where it ends in the file, in seconds; None for the end of the file.
        channel: Its channel in the file; None for all.
        split: The part that the data put it in.
    """

    id: str
    path: str
    text: str
    seconds: float
    speaker: str = ""
    start: float = 0.0
    end: float | None = None
    channel: int | None = None
    split: str = ""

    def cells(self) -> dict[str, str]:
        """Its line in a data list, by column; values that need not be said are empty."""
        return {
            "id": self.id,
            "path": self.path,
            "text": self.text,
            "speaker": " ".join(self.speaker.split()),
            "start": str(self.start) if self.start else "",
            "end": "" if self.end is None else str(self.end),
            CHANNEL_COLUMN: "" if self.channel is None else str(self.channel),
        }


@dataclass(frozen=True)
class Corpus:
    """The user's data, with what its headers say.

    Attributes:
        utterances: In the order of the data.
        rates: Number of audio files by sample rate in Hz.
        channels: The largest number of channels.
    """

    utterances: list[Utterance]
    rates: Counter[int]
    channels: int

    @property
    def rate(self) -> int:
        """The rate that most files have, in Hz."""
        return self.rates.most_common(1)[0][0]

    def joined(self, other: Corpus) -> Corpus:
        """Both together."""
        utterances = [*self.utterances, *other.utterances]
        return Corpus(utterances, self.rates + other.rates, max(self.channels, other.channels))


def read(data: str, option: str = "--data") -> Corpus:
    """The user's utterances, with texts checked and headers read.

    Args:
        data: Manifest, Kaldi directory or folder of audio.
        option: Where the user named it, for messages.

    Raises:
        UserError: The data cannot be read, or have no texts.
        CheckFailed: Utterances without text or audio; all of them are named.
    """
    path = Path(data).expanduser().resolve()
    if not path.exists():
        raise UserError(f"{option} {data}: {path} does not exist", hint="check the path")
    manifest = Manifest(ManifestConfig(path=str(path)), sample_rate=None, recipe_dir=Path.cwd())
    seconds = manifest.lengths()
    texts = [
        " ".join(str(manifest.describe(index).get("text") or "").split()) for index in range(len(manifest))
    ]
    if not any(texts):
        raise UserError(
            f"{option} {data}: no utterance has a text",
            hint="a table has them in a column `text`, a folder in name.txt beside name.wav",
        )
    infos: dict[str, AudioInfo] = {}
    findings: list[Finding] = []
    utterances: list[Utterance] = []
    for index, text in enumerate(texts):
        item, audio = manifest.describe(index), manifest.audio_path(index)
        name, place, (start, end) = str(item["id"]), manifest.source(index), manifest.span(index)
        if audio not in infos:
            infos[audio] = audio_info(audio, utterance=name, place=place)
        if problem := _problem(audio, text, start, end, infos[audio]):
            findings.append(Finding(message=f"utterance {name!r} {problem}", place=place))
        utterances.append(
            Utterance(
                id=name,
                path=audio,
                text=text,
                seconds=float(seconds[index]),
                speaker=str(item.get("speaker") or ""),
                start=start,
                end=end,
                channel=manifest.channel(index),
                split=str(item.get("split") or ""),
            )
        )
    if findings:
        raise CheckFailed(findings)
    mixed = [infos[u.path].channels for u in utterances if u.channel is None]
    return Corpus(utterances, Counter(info.rate for info in infos.values()), max(mixed, default=1))


def _problem(path: str, text: str, start: float, end: float | None, info: AudioInfo) -> str | None:
    """What makes an utterance useless, if anything."""
    if not text:
        return "has no text"
    if start >= info.seconds or (end or 0.0) > info.seconds + OVERSHOOT:
        until = "on" if end is None else f"to {end:g} s"
        return f"runs from {start:g} s {until}, but {path} lasts {info.seconds:.3f} s"
    if "\t" in path or "\n" in path:
        return f"has a tab or a line break in the name of its file: {path!r}"
    return None
