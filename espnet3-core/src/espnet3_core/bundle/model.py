"""A loaded bundle: a function from audio or text to results."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from espnet3_core.bundle.config import BundleConfig
from espnet3_core.bundle.manifest import CONFIG, TOKENIZER, WEIGHTS, Manifest
from espnet3_core.bundle.names import refused
from espnet3_core.bundle.results import Result
from espnet3_core.bundle.stream import Stream
from espnet3_core.data.audio import Samples, read_audio, resample
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.errors import UserError
from espnet3_core.fields import FieldDeclaration
from espnet3_core.infer.audio import Audio

if TYPE_CHECKING:
    import torch

_CHARACTERS = 15
"""Of a text that count as a second in the limits of batches: about what is said in one."""

Channels = Literal["reject", "first", "mean"]
Value = str | os.PathLike[str] | NDArray[Any]
"""What a model takes. Audio: a file, or samples of shape (samples,), float with full scale 1 or integers.
Text: a string."""

SPEECH = FieldDeclaration("speech", "audio")
"""The input of bundles that declare none: recognisers of the first bundles of version 1."""


class LoadedModel:
    """A model that is ready to use; made by :func:`espnet3_core.load`.

    Attributes:
        directory: The bundle.
        manifest: Its manifest.
        config: Its configuration.
        inputs: What it takes; the first is the positional argument of a call.
        outputs: What it gives.
        sample_rate: Rate in Hz of the audio that it takes or makes.
        tokenizer: Text to token ids, or None.
        model: The ``nn.Module``.
        device: Where it computes.
    """

    def __init__(
        self, directory: Path, manifest: Manifest, config: BundleConfig, device: str = "auto"
    ) -> None:
        from espnet3_core.infer.devices import pick_device

        self.directory = directory
        self.manifest = manifest
        self.config = config
        self.inputs = tuple(manifest.inputs) or (SPEECH,)
        self.outputs = tuple(manifest.outputs)
        self.sample_rate = config.sample_rate
        self.device: torch.device = pick_device(device)
        self._needs: dict[str, Any] = {
            "sample_rate": self.sample_rate,
            "seed": config.seed,
            "recipe_dir": directory,
            "experiment": directory,
            "stats": None,
            "device": self.device,
        }
        self.tokenizer = self._load_tokenizer()
        self.model = self._load_model()
        self._collate: Callable[..., Any] = config.collator.build(**self._needs)
        self._preprocess = [component.build(**self._needs) for component in config.preprocess]
        self._owner = self._search_or_model()

    def _load_tokenizer(self) -> Any:
        if self.config.tokenizer is None:
            return None
        tokenizer = self.config.tokenizer.build(**self._needs)
        tokenizer.load(self.directory / TOKENIZER)
        self._needs |= {"tokenizer": tokenizer, "vocab_size": len(tokenizer)}
        return tokenizer

    def _load_model(self) -> torch.nn.Module:
        from espnet3_core.bundle.blank import WithoutDraws
        from espnet3_core.bundle.weights import check_types
        from espnet3_core.train.checkpoints import load_weights

        try:
            with WithoutDraws():
                model: torch.nn.Module = self.config.model.build(**self._needs)
        except (RuntimeError, MemoryError) as error:  # sizes that no machine has
            reason = str(error).splitlines()[0] if str(error) else "it is too large"
            raise refused(self.directory / CONFIG, f"the model cannot be built: {reason}") from error
        check_types(self.directory / WEIGHTS, model)
        load_weights(model, self.directory / WEIGHTS)
        return model.eval().to(self.device)

    def _search_or_model(self) -> Any:
        search = self.config.search
        owner = self.model if search is None else search.build(**self._needs, model=self.model)
        if not callable(getattr(owner, "infer", None)):
            raise UserError(
                f"{self.directory / CONFIG}: {type(owner).__name__} has no infer(batch)",
                hint="give the model infer(batch), or choose `search` in inference.yaml, and pack again",
            )
        return owner

    def __call__(
        self,
        value: Value,
        *,
        sample_rate: int | None = None,
        channels: Channels = "mean",
        **others: Any,
    ) -> Result:
        """Process one utterance.

        Args:
            value: The first input: for a recogniser a file or samples ``(samples,)``, for a synthesizer text.
            sample_rate: Rate of the samples in Hz; files know theirs.
            channels: What to do with a file of several channels.
            **others: Further inputs by name.

        Raises:
            UserError: The input cannot be read, its rate is not known, or there is no such input.
        """
        rest = {name: [item] for name, item in others.items()}
        return self.batch([value], sample_rate=sample_rate, channels=channels, **rest)[0]

    def batch(
        self,
        values: Sequence[Value],
        *,
        sample_rate: int | None = None,
        channels: Channels = "mean",
        **others: Sequence[Any],
    ) -> list[Result]:
        """Process utterances, in batches of similar length; results in the order of the input.

        Audio of another rate is converted to the model's with soxr.

        Args:
            values: The first input of each utterance.
            sample_rate: Rate of samples in Hz; files know theirs.
            channels: What to do with files of several channels.
            **others: Further inputs by name, one value per utterance.

        Raises:
            UserError: An input cannot be read, its rate is not known, or there is no such input.
        """
        columns = {self.inputs[0].name: values, **others}
        known = {item.name: item for item in self.inputs}
        for name in columns:
            if name not in known or len(columns[name]) != len(values):
                problem = (
                    f"{len(columns[name])} values for {len(values)} utterances"
                    if name in known
                    else (f"this model takes no such input; it takes {', '.join(known)}")
                )
                raise UserError(f"{name}: {problem}")
        items = [
            {
                "id": f"{number}",
                **{
                    name: self._read(known[name], column[number], number, sample_rate, channels)
                    for name, column in columns.items()
                },
            }
            for number in range(len(values))
        ]
        names = [_name(self.inputs[0], value, number) for number, value in enumerate(values)]
        return self._results(names, items)

    def stream(self, *, sample_rate: int | None = None) -> Stream:
        """Take audio in pieces, as it comes; see :class:`espnet3_core.bundle.stream.Stream`.

        Args:
            sample_rate: Rate of the pieces in Hz; None for the model's own.

        Raises:
            UserError: The model takes no audio.
        """
        return Stream(self, self._owner, sample_rate)

    def _results(self, names: Sequence[str], items: Sequence[dict[str, Any]]) -> list[Result]:
        speech = next((item.name for item in self.inputs if item.kind == "audio"), None)
        seconds = None
        if speech is not None and self.sample_rate:
            seconds = [len(item[speech]) / self.sample_rate if speech in item else 0.0 for item in items]
        texts = [item.name for item in self.inputs if item.kind == "text"]
        prepared = PreparedDataset(
            items,
            sample_rate=self.sample_rate,
            preprocess=self._preprocess,
            tokenizer=self.tokenizer if texts else None,
            text_field=texts[0] if texts else "text",
        )
        sizes = seconds
        if sizes is None and texts:
            sizes = [len(item[texts[0]]) / _CHARACTERS for item in items]
        records = self._decode(prepared, sizes)
        return [
            Result.of(name, seconds[number] if seconds else 0.0, *self._with_audio(record))
            for number, (name, record) in enumerate(zip(names, records, strict=True))
        ]

    def _decode(self, prepared: PreparedDataset, seconds: list[float] | None) -> list[Mapping[str, Any]]:
        from espnet3_core.infer.decoder import check_results
        from espnet3_core.infer.devices import arithmetic, decoded_alone, to_device
        from espnet3_core.infer.planning import batches_of

        limits = self.config.batch
        size = 1 if decoded_alone(self.model, self._owner) else limits.size
        groups = batches_of(range(len(prepared)), seconds, seconds=limits.seconds, size=size)
        records: list[Mapping[str, Any]] = [{} for _ in range(len(prepared))]
        for group in groups:
            items = [prepared[index] for index in group]
            with arithmetic(self.device, "fp32"):
                found = self._owner.infer(to_device(self._collate(items), self.device))
            check_results(found, [item["id"] for item in items])
            for index, record in zip(group, found, strict=True):
                records[index] = record
        return records

    def _with_audio(self, record: Mapping[str, Any]) -> tuple[dict[str, Any], Audio | None]:
        """The plain values of a record, and its audio."""
        from espnet3_core.infer.decoder import plain

        made = {name: value for name, value in record.items() if isinstance(value, Audio)}
        rest = plain({name: value for name, value in record.items() if name not in made})
        return rest, next(iter(made.values()), None)

    def _read(
        self, field: FieldDeclaration, value: Any, number: int, rate: int | None, channels: Channels
    ) -> Any:
        if field.kind == "audio":
            return self._samples(value, number, rate, channels)
        if field.kind in ("text", "label") and not isinstance(value, str):
            raise UserError(f"input {number}: {field.name} is {type(value).__name__}, and text is wanted")
        return value

    def _samples(self, audio: Value, number: int, rate: int | None, channels: Channels) -> Samples:
        if not isinstance(audio, np.ndarray):
            return read_audio(audio, sample_rate=self.sample_rate, channels=channels, resample="soxr")
        if rate is None:
            raise UserError(
                f"array {number}: its rate is not known",
                hint=f"pass sample_rate=…; the model's is {self.sample_rate}",
            )
        if audio.ndim != 1 or not len(audio):
            raise UserError(f"array {number}: has shape {audio.shape}; one channel of samples is wanted")
        samples: Samples = _to_float(audio, number)
        if self.sample_rate in (None, rate):
            return samples
        return resample(samples, rate, self.sample_rate or rate)


def _name(field: FieldDeclaration, value: Any, number: int) -> str:
    is_file = field.kind == "audio" and not isinstance(value, np.ndarray)
    return os.fspath(value) if is_file else str(number)


def _to_float(audio: NDArray[Any], number: int) -> Samples:
    """Full scale 1, whatever the type of the samples."""
    if audio.dtype.kind == "i":
        return (audio / -float(np.iinfo(audio.dtype).min)).astype(np.float32)
    if audio.dtype.kind != "f":
        raise UserError(f"array {number}: samples of type {audio.dtype}; float or signed integers are wanted")
    if not np.isfinite(audio).all():
        raise UserError(f"array {number}: holds samples that are not finite numbers")
    return audio.astype(np.float32)
