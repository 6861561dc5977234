"""A batch to encoder output and CTC log-probabilities, on the model's device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from espnet3_core.errors import UserError
from torch import Tensor


@dataclass(frozen=True)
class Frames:
    """An encoded batch.

    Attributes:
        memory: ``(batch, frames, encoder_size)``.
        lengths: ``(batch,)`` frames, on the model's device.
        frames: ``lengths`` as a list.
        durations: Seconds of audio of each utterance.
        frame_seconds: Seconds from one encoder frame to the next.
    """

    memory: Tensor
    lengths: Tensor
    frames: list[int]
    durations: list[float]
    frame_seconds: float


@dataclass(frozen=True)
class Utterances(Frames):
    """An encoded batch with what CTC says of it.

    Attributes:
        ctc: ``(batch, frames, vocabulary)`` log-probabilities, at least fp32.
    """

    ctc: Tensor


def encode_frames(model: Any, batch: Mapping[str, Any], device: Any = None) -> Frames:
    """Encode the ``speech`` of a batch.

    Raises:
        UserError: The batch has no ``speech``.
    """
    if "speech" not in batch:
        raise UserError(
            f"a batch without speech reached the search (it has {', '.join(sorted(batch))})",
            hint="the test set must have an audio column",
        )
    device = device or next(model.parameters()).device
    lengths = batch["speech_lengths"]
    durations = [samples / model.sample_rate for samples in lengths.tolist()]
    encoded = model.encode(batch["speech"].to(device), lengths.to(device))
    memory = encoded.features
    if memory.shape[1] == 0:
        # Recordings too short for one frame: a frame of zeros that no length counts spares special cases.
        memory = memory.new_zeros(memory.shape[0], 1, memory.shape[2])
    return Frames(memory, encoded.lengths, encoded.lengths.tolist(), durations, model.frame_seconds)


def encode(model: Any, batch: Mapping[str, Any], device: Any = None) -> Utterances:
    """Encode the ``speech`` of a batch, and ask the model's ``ctc`` for log-probabilities.

    Raises:
        UserError: The batch has no ``speech``.
    """
    found = encode_frames(model, batch, device)
    return Utterances(**vars(found), ctc=model.ctc.log_probs(found.memory))
