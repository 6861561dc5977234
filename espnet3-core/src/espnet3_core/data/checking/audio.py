"""Facts about the audio of one utterance, all from one decoding."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data.audio import decode
from espnet3_core.data.origin import AudioError

SILENCE = 10 ** (-70 / 20)
"""Audio whose samples are all closer to their mean than this (-70 dB of full scale) is silent."""
FLAT = 3
"""So many samples in a row at the highest level are a clipped peak."""
LOUD = 0.5
"""Audio whose highest level is below this has not been clipped."""


class Job(NamedTuple):
    """An utterance's place in a file; ``end`` None for the file's end. Times are in seconds."""

    path: str
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of the audio of an utterance.

    Attributes:
        problem: A kind of finding when it cannot be read, else empty.
        reason: Why it cannot be read.
        rate: Samples per second in Hz.
        channels: Number of channels.
        frames: Samples per channel.
        level: Largest distance of a sample from the mean; full scale is 1.
        clipped: Share of samples in clipped peaks.
        digest: Of the decoded samples: equal for a recording that was stored twice, in WAV and FLAC, too.
    """

    problem: str = ""
    reason: str = ""
    rate: int = 0
    channels: int = 0
    frames: int = 0
    level: float = 0.0
    clipped: float = 0.0
    digest: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def examine(job: Job) -> Facts:
    """Decode an utterance; what is wrong with the file is told in the facts."""
    try:
        samples, info = decode(*job)
    except AudioError as error:
        return Facts(problem=error.kind, reason=error.message)
    except Exception as error:  # whatever a decoder makes of a broken file
        return Facts(problem="damaged", reason=f"{job.path}: {type(error).__name__}: {error}")
    return facts_of(samples, info.rate)


def facts_of(samples: NDArray[Any], rate: int) -> Facts:
    """Facts about samples of shape (frames,) or (frames, channels)."""
    values = np.asarray(samples, np.float32)
    if not len(values):
        return Facts(problem="empty", reason="holds no samples")
    if not np.isfinite(values).all():
        return Facts(problem="not finite", reason="holds samples that are not finite numbers")
    return Facts(
        rate=rate,
        channels=1 if values.ndim == 1 else values.shape[1],
        frames=len(values),
        level=float(np.abs(values - values.mean(axis=0)).max()),
        clipped=clipped_share(values.ravel(order="F")),
        digest=hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).hexdigest(),
    )


def clipped_share(samples: NDArray[np.float32]) -> float:
    """Share of samples, shape (samples,), that stand in a row of three or more at the highest level."""
    level = np.abs(samples)
    top = level.max(initial=0.0)
    if top < LOUD or len(samples) < FLAT:
        return 0.0
    flat = level >= top * 0.9999
    start = flat[:-2] & flat[1:-1] & flat[2:]
    inside = np.zeros(len(samples), bool)
    for offset in range(FLAT):
        inside[offset : offset + len(start)] |= start
    return float(inside.mean())
