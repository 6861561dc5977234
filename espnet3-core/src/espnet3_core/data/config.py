"""Configuration of core's datasets, collator and transforms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from espnet3_core.component import Component, Slot


@dataclass(kw_only=True)
class ManifestConfig:
    """A corpus listed in a file, a Kaldi directory, or a folder of audio."""

    path: str
    """TSV, CSV or JSONL file, Kaldi data directory, or folder of audio with a ``.txt`` beside each file;
    relative to the recipe."""
    format: Literal["auto", "tsv", "csv", "jsonl", "kaldi", "folder"] = "auto"
    """How to read it; ``auto`` goes by the suffix and by what a folder holds."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our field (id, audio, text, speaker, start, end, duration) to the file's own header, where the usual
    names are not used: ``{text: normalized_text}``."""
    where: dict[str, Any] = field(default_factory=dict)
    """Keep rows whose column has this value, or one of these: ``{split: train}``."""
    root: str | None = None
    """Folder that audio paths are relative to; None for the manifest's own folder."""
    channels: Literal["reject", "first", "mean"] = "reject"
    """What to do with a file of several channels."""
    resample: Literal["reject", "soxr"] = "reject"
    """What to do with a file of another rate than the recipe's ``sample_rate``."""


@dataclass(kw_only=True)
class TarConfig:
    """Audio and texts in tar shards, in the layout of WebDataset: ``key.flac`` beside ``key.txt`` or
    ``key.json``."""

    path: str
    """Shards: ``shards/train-{000..012}.tar``, ``shards/*.tar``; relative to the recipe. They are not
    compressed, so that an utterance can be read from the middle."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our field (text, speaker, duration) to the key in the ``.json``, where the usual names are not used."""
    where: dict[str, Any] = field(default_factory=dict)
    """Keep utterances whose field has this value, or one of these: ``{split: train}``."""
    channels: Literal["reject", "first", "mean"] = "reject"
    """What to do with audio of several channels."""
    resample: Literal["reject", "soxr"] = "reject"
    """What to do with audio of another rate than the recipe's ``sample_rate``."""


@dataclass(kw_only=True)
class MixtureConfig:
    """Several datasets as one."""

    datasets: dict[str, Annotated[Component, Slot("dataset")]]
    """Parts by name."""
    weights: dict[str, float] = field(default_factory=dict)
    """Share of each part in an epoch (any positive numbers); empty takes each item of each part once."""
    epoch_size: int | None = None
    """Utterances in an epoch when ``weights`` are given; None for as many as the parts hold together."""
    prefix_ids: bool = False
    """Put ``<part>/`` before each id, for parts whose ids are not distinct."""


@dataclass(kw_only=True)
class PadConfig:
    """Padding of items to a batch."""

    values: dict[str, float] = field(default_factory=dict)
    """Padding value by field, where it is not 0 (floats) or -1 (integers): ``{labels: -100}``."""


@dataclass(kw_only=True)
class SpeedConfig:
    """Speed perturbation: tempo and pitch change together (Ko et al., 2015)."""

    factors: list[float] = field(default_factory=lambda: [0.9, 1.0, 1.1])
    """Factors to draw from; 1.1 makes the utterance 1.1 times faster and so shorter."""
    probability: float = 1.0
    """Share of the utterances for which a factor is drawn."""


@dataclass(kw_only=True)
class GainConfig:
    """Random change of level."""

    min_db: float = -6.0
    """Lowest gain in dB."""
    max_db: float = 6.0
    """Highest gain in dB."""
    probability: float = 1.0
    """Share of the utterances that are changed."""


@dataclass(kw_only=True)
class NoiseConfig:
    """Additive noise at a random signal-to-noise ratio."""

    path: str
    """Noise: an audio file, a folder of audio, or a manifest; relative to the recipe."""
    min_snr: float = 5.0
    """Lowest signal-to-noise ratio in dB."""
    max_snr: float = 20.0
    """Highest signal-to-noise ratio in dB."""
    probability: float = 1.0
    """Share of the utterances that are changed."""
    channels: Literal["reject", "first", "mean"] = "reject"
    """What to do with noise of several channels."""
    resample: Literal["reject", "soxr"] = "reject"
    """What to do with noise of another rate."""
    keep_silence: bool = False
    """Leave digital silence of 10 ms and more silent: recordings that were put together with silence between
    them bring their own noise only while they play. The ratio is that of the speech without silence."""


@dataclass(kw_only=True)
class RoomResponseConfig:
    """Convolution with a room impulse response; level, length and timing of the speech are kept."""

    path: str
    """Impulse responses: an audio file, a folder of audio, or a manifest; relative to the recipe."""
    probability: float = 1.0
    """Share of the utterances that are changed."""
    channels: Literal["reject", "first", "mean"] = "reject"
    """What to do with responses of several channels."""
    resample: Literal["reject", "soxr"] = "reject"
    """What to do with responses of another rate."""


@dataclass(kw_only=True)
class TextCaseConfig:
    """Upper or lower case of a text field."""

    case: Literal["lower", "upper"] = "lower"
    """Case to convert to."""
    field: str = "text"
    """Item field that is changed."""


@dataclass(kw_only=True)
class TextCleanConfig:
    """Unicode normalisation, removal of punctuation and of surplus blanks."""

    unicode: Literal["NFC", "NFKC", "none"] = "NFKC"
    """Unicode normalisation form."""
    punctuation: Literal["remove", "keep"] = "remove"
    """Whether marks and symbols become blanks (Unicode categories P and S)."""
    keep: str = "'"
    """Marks that stay."""
    field: str = "text"
    """Item field that is changed."""
