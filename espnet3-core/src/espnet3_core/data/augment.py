"""Augmentation of audio: speed, gain, noise, room response. Each returns a new item; text stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data.audio import Samples, audio_info, read_audio, resample
from espnet3_core.data.config import GainConfig, NoiseConfig, RoomResponseConfig, SpeedConfig
from espnet3_core.data.manifest import listed_audio
from espnet3_core.errors import UserError
from espnet3_core.protocols import Item

_KEPT_RESPONSES = 64


def _speech(item: Item) -> Samples:
    if "speech" not in item:
        raise UserError("it has no audio to augment", hint="audio transforms need the field `speech`")
    return np.asarray(item["speech"], np.float32)


def _bounds(low: float, high: float, name: str) -> None:
    if low > high:
        raise UserError(f"{name}: the lower bound {low:g} is above the upper bound {high:g}")


def _probability(value: float) -> float:
    if not 0 <= value <= 1:
        raise UserError(f"probability must lie between 0 and 1, not {value:g}")
    return value


def power(samples: NDArray[np.floating]) -> float:
    """Mean square."""
    return float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0


def sounds(samples: Samples, shortest: int) -> NDArray[np.bool_]:
    """Which samples do not lie in a run of at least ``shortest`` zeros."""
    silent = np.concatenate([[False], samples == 0, [False]])
    edges = np.flatnonzero(silent[1:] != silent[:-1])
    found = np.ones(len(samples), bool)
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= shortest:
            found[start:end] = False
    return found


class Speed:
    """Speed perturbation by resampling; tempo and pitch change together.

    An utterance of n samples becomes about n / factor long, so that a factor below 1 may exceed a batch's
    limit in seconds by 1 / factor.

    Source: Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.

    Args:
        config: Factors.
        sample_rate: Rate of the items in Hz.
    """

    def __init__(self, config: SpeedConfig, *, sample_rate: int) -> None:
        if not config.factors or any(not 0.1 <= factor <= 10 for factor in config.factors):
            raise UserError(f"core/speed: factors must lie between 0.1 and 10: {config.factors}")
        self.factors = list(config.factors)
        self.probability = _probability(config.probability)
        self.sample_rate = sample_rate

    def __call__(self, item: Item, rng: np.random.Generator) -> Item:
        """Change ``speech``."""
        speech = _speech(item)
        if rng.random() >= self.probability:
            return item
        factor = self.factors[int(rng.integers(len(self.factors)))]
        if factor == 1:
            return item
        return {**item, "speech": resample(speech, self.sample_rate * factor, self.sample_rate)}


class Gain:
    """Level changed by a gain drawn evenly in dB; nothing is clipped.

    Args:
        config: Range.
    """

    def __init__(self, config: GainConfig) -> None:
        _bounds(config.min_db, config.max_db, "core/gain")
        self.range = (config.min_db, config.max_db)
        self.probability = _probability(config.probability)

    def __call__(self, item: Item, rng: np.random.Generator) -> Item:
        """Change ``speech``."""
        speech = _speech(item)
        if rng.random() >= self.probability:
            return item
        return {**item, "speech": speech * np.float32(10 ** (rng.uniform(*self.range) / 20))}


class Noise:
    """Noise from a file drawn at random, at a signal-to-noise ratio drawn evenly in dB.

    Noise that is longer than the utterance is cut out at a random place; shorter noise is repeated.
    Utterances and noise of digital silence are left alone; with ``keep_silence``, silence within
    utterances is, too.

    Args:
        config: Where the noise is, and the range.
        sample_rate: Rate of the items in Hz.
        recipe_dir: Folder that the path starts from.
    """

    def __init__(self, config: NoiseConfig, *, sample_rate: int, recipe_dir: Path) -> None:
        _bounds(config.min_snr, config.max_snr, "core/noise")
        self.config = config
        self.range = (config.min_snr, config.max_snr)
        self.probability = _probability(config.probability)
        self.sample_rate = sample_rate
        self.files = listed_audio(config.path, recipe_dir)

    def __call__(self, item: Item, rng: np.random.Generator) -> Item:
        """Change ``speech``."""
        speech = _speech(item)
        if rng.random() >= self.probability:
            return item
        ratio = rng.uniform(*self.range)
        noise = self._noise(len(speech), rng)
        signal, disturbance = power(speech), power(noise)
        if self.config.keep_silence:
            sounding = sounds(speech, self.sample_rate // 100)
            signal = power(speech[sounding])
            noise = np.where(sounding, noise, np.float32(0))
        if not signal or not disturbance:
            return item
        scale = np.sqrt(signal / disturbance / 10 ** (ratio / 10))
        return {**item, "speech": speech + np.float32(scale) * noise}

    def _noise(self, count: int, rng: np.random.Generator) -> Samples:
        """``count`` samples of a random file, from a random place on."""
        path = self.files[int(rng.integers(len(self.files)))]
        whole = audio_info(path).seconds
        spare = whole - count / self.sample_rate
        start = float(rng.uniform(0, spare)) if spare > 0 else 0.0
        samples = read_audio(
            path,
            start,
            min(whole, start + (count + 2) / self.sample_rate) if spare > 0 else None,
            sample_rate=self.sample_rate,
            channels=self.config.channels,
            resample=self.config.resample,
        )
        if len(samples) < count:
            samples = np.roll(samples, int(rng.integers(len(samples))))
            samples = np.tile(samples, -(-count // len(samples)))
        return samples[:count]


class RoomResponse:
    """Convolution with a room impulse response drawn at random.

    The direct path (the largest peak) is put at time zero, and power and length of the speech are kept, so
    that neither timing nor level tells of the room.

    Args:
        config: Where the responses are.
        sample_rate: Rate of the items in Hz.
        recipe_dir: Folder that the path starts from.
    """

    def __init__(self, config: RoomResponseConfig, *, sample_rate: int, recipe_dir: Path) -> None:
        self.config = config
        self.probability = _probability(config.probability)
        self.sample_rate = sample_rate
        self.files = listed_audio(config.path, recipe_dir)
        self._responses: dict[str, Samples] = {}

    def __getstate__(self) -> Mapping[str, object]:
        return {**self.__dict__, "_responses": {}}

    def __call__(self, item: Item, rng: np.random.Generator) -> Item:
        """Change ``speech``."""
        speech = _speech(item)
        if rng.random() >= self.probability:
            return item
        response = self._response(self.files[int(rng.integers(len(self.files)))])
        wet = convolve(speech, response)[int(np.argmax(np.abs(response))) :][: len(speech)]
        level = power(wet)
        if not level:
            return item
        return {**item, "speech": wet * np.float32(np.sqrt(power(speech) / level))}

    def _response(self, path: str) -> Samples:
        if path not in self._responses:
            while len(self._responses) >= _KEPT_RESPONSES:
                del self._responses[next(iter(self._responses))]
            self._responses[path] = read_audio(
                path,
                sample_rate=self.sample_rate,
                channels=self.config.channels,
                resample=self.config.resample,
            )
        return self._responses[path]


def convolve(samples: Samples, response: Samples) -> Samples:
    """Full linear convolution through the Fourier transform, shape (samples + response - 1,)."""
    count = len(samples) + len(response) - 1
    size = 1 << (count - 1).bit_length()
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[:count].astype(np.float32)
