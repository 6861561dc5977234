"""Core's datasets, transforms and collator, as records."""

from __future__ import annotations

from espnet3_core.specs import CollatorSpec, DatasetSpec, TransformSpec

_CONFIG = "espnet3_core.data.config"

DATASETS = (
    DatasetSpec(
        name="core/manifest",
        target="espnet3_core.data.manifest:open_manifest",
        config=f"{_CONFIG}:ManifestConfig",
        summary="TSV, CSV, JSONL, Kaldi directory, or folder of audio with texts",
    ),
    DatasetSpec(
        name="core/tar",
        target="espnet3_core.data.tar:TarShards",
        config=f"{_CONFIG}:TarConfig",
        summary="Tar shards in the layout of WebDataset",
    ),
    DatasetSpec(
        name="core/mixture",
        target="espnet3_core.data.mixture:Mixture",
        config=f"{_CONFIG}:MixtureConfig",
        summary="Several datasets as one, weighted or whole",
    ),
)

TRANSFORMS = (
    TransformSpec(
        name="core/speed",
        target="espnet3_core.data.augment:Speed",
        config=f"{_CONFIG}:SpeedConfig",
        domain="audio",
        summary="Speed perturbation by resampling",
    ),
    TransformSpec(
        name="core/gain",
        target="espnet3_core.data.augment:Gain",
        config=f"{_CONFIG}:GainConfig",
        domain="audio",
        summary="Random level in dB",
    ),
    TransformSpec(
        name="core/noise",
        target="espnet3_core.data.augment:Noise",
        config=f"{_CONFIG}:NoiseConfig",
        domain="audio",
        summary="Noise from files at a random signal-to-noise ratio",
    ),
    TransformSpec(
        name="core/room_response",
        target="espnet3_core.data.augment:RoomResponse",
        config=f"{_CONFIG}:RoomResponseConfig",
        domain="audio",
        summary="Convolution with room impulse responses from files",
    ),
    TransformSpec(
        name="core/text_case",
        target="espnet3_core.data.text:TextCase",
        config=f"{_CONFIG}:TextCaseConfig",
        domain="text",
        summary="Upper or lower case",
    ),
    TransformSpec(
        name="core/text_clean",
        target="espnet3_core.data.text:TextClean",
        config=f"{_CONFIG}:TextCleanConfig",
        domain="text",
        summary="Unicode normalisation, punctuation and blanks removed",
    ),
)

COLLATORS = (
    CollatorSpec(
        name="core/pad",
        target="espnet3_core.data.collate:PadCollator",
        config=f"{_CONFIG}:PadConfig",
        summary="Pad floats with 0 and integers with -1",
    ),
)
