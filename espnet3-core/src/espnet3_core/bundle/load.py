"""Loading: a bundle as a function from audio to results. It holds names, never code."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from espnet3_core.bundle.contents import foreign
from espnet3_core.bundle.manifest import CONFIG, TOKENIZER, WEIGHTS, Manifest, read_manifest, verify_files
from espnet3_core.bundle.results import Result
from espnet3_core.component import Component, Slot
from espnet3_core.data.audio import Samples, read_audio, resample
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.errors import CheckFailed, UserError
from espnet3_core.protocols import Item

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

Audio = str | os.PathLike[str] | NDArray[Any]
"""A file, or samples of shape (samples,): float with full scale 1, or integers."""


def load(
    path: str | os.PathLike[str],
    *,
    device: str = "auto",
    verify: bool = True,
    search: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Open a bundle.

    Example::

        model = espnet3_core.load("exp/training/bundle")
        print(model("audio.wav").text)

    Args:
        path: Folder of the bundle.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
        verify: Compare every file with its hash in the manifest.
        search: Options of the bundle's search that are to be otherwise: ``{"beam_size": 1}``.

    Raises:
        UserError: It is not a bundle, is damaged, needs plugins that are not installed, or a newer core; it
            has no search, and options of one were given.
    """
    directory = Path(path)
    manifest = read_manifest(directory)
    if verify:
        verify_files(directory, manifest)
    config = _read_config(directory)
    _require_plugins(directory, manifest)
    if search:
        if not config.get("search"):
            raise UserError(
                f"{directory}: was packed without a search, and so has no {', '.join(search)}",
                hint="set inference.search in the recipe, and pack the model again",
            )
        config["search"] = {**config["search"], **search}
    return LoadedModel(directory, manifest, config, device)


def _read_config(directory: Path) -> dict[str, Any]:
    path = directory / CONFIG
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}", hint="get or pack the bundle again") from None
    findings = list(foreign(config, "config", None))
    if findings:
        raise CheckFailed(findings)
    return config


def _require_plugins(directory: Path, manifest: Manifest) -> None:
    """Refuse when a distribution that provides components is absent; tell when it is older."""
    from packaging.version import Version

    from espnet3_core.catalog import current_catalog

    installed = {
        plugin.entry.distribution: plugin.entry.version for plugin in current_catalog().manager.plugins
    }
    needed = {part["distribution"]: part["version"] for part in manifest.components}
    missing = sorted(name for name in needed if name not in installed)
    if missing:
        failures = [f for f in current_catalog().failures if f.entry.distribution in missing]
        if failures:
            raise UserError(
                f"{directory}: needs a plugin that is broken: {failures[0]}", hint=failures[0].hint
            )
        lines = " ".join(f"'{name}>={needed[name]}'" for name in missing)
        raise UserError(
            f"{directory}: needs {', '.join(missing)}, which is not installed", hint=f"pip install {lines}"
        )
    for name, version in needed.items():
        if Version(installed[name]) < Version(version):
            _log.warning(
                "%s was packed with %s %s; installed is %s", directory, name, version, installed[name]
            )


class LoadedModel:
    """A model that is ready to use; made by :func:`load`.

    Attributes:
        directory: The bundle.
        manifest: Its manifest.
        config: Its configuration.
        sample_rate: Rate in Hz at which the model works.
        tokenizer: Text to token ids, or None.
        model: The ``nn.Module``.
        device: Where it computes.
    """

    def __init__(
        self, directory: Path, manifest: Manifest, config: Mapping[str, Any], device: str = "auto"
    ) -> None:
        from espnet3_core.infer.devices import decoded_alone, pick_device

        self.directory = directory
        self.manifest = manifest
        self.config = config
        self.sample_rate: int | None = config.get("sample_rate")
        self.device: torch.device = pick_device(device)
        self._needs: dict[str, Any] = {
            "sample_rate": self.sample_rate,
            "seed": config.get("seed", 0),
            "recipe_dir": directory,
            "experiment": directory,
            "stats": None,
            "device": self.device,
        }
        self.tokenizer = self._load_tokenizer()
        self.model = self._load_model()
        self._collate: Callable[..., Any] = self._build("collator", "collator")
        self._preprocess = self._transforms()
        search = self._load_search()
        self._infer: Callable[[Any], list[dict[str, Any]]] = search.infer
        self._alone = decoded_alone(self.model, search)

    def _component(self, key: str, kind: str, node: Mapping[str, Any] | None = None) -> Component | None:
        node = self.config.get(key) if node is None else node
        return (
            None
            if node is None
            else Component.from_node(node, Slot(kind), f"{self.directory / CONFIG}: {key}")
        )

    def _build(self, key: str, kind: str) -> Any:
        component = self._component(key, kind)
        if component is None:
            raise UserError(f"{self.directory / CONFIG}: there is no {key}", hint="pack the model again")
        return component.build(**self._needs)

    def _load_tokenizer(self) -> Any:
        component = self._component("tokenizer", "tokenizer")
        if component is None:
            return None
        tokenizer = component.build(**self._needs)
        tokenizer.load(self.directory / TOKENIZER)
        self._needs |= {"tokenizer": tokenizer, "vocab_size": len(tokenizer)}
        return tokenizer

    def _load_model(self) -> torch.nn.Module:
        from espnet3_core.train.checkpoints import load_weights

        model: torch.nn.Module = self._build("model", "model")
        load_weights(model, self.directory / WEIGHTS)
        return model.eval().to(self.device)

    def _load_search(self) -> Any:
        component = self._component("search", "search")
        owner = self.model if component is None else component.build(**self._needs, model=self.model)
        if not callable(getattr(owner, "infer", None)):
            raise UserError(f"{self.directory}: {type(owner).__name__} has no infer(batch)")
        return owner

    def _transforms(self) -> list[tuple[str, Any]]:
        """Preprocessing, each step with the field that items need for it: ``speech`` or ``text``."""
        from espnet3_core.build import registered_of

        found = []
        for number, node in enumerate(self.config.get("preprocess") or ()):
            component = self._component(f"preprocess.{number}", "transform", node)
            if component is not None:
                field = "text" if registered_of(component).role == "text" else "speech"
                found.append((field, component.build(**self._needs)))
        return found

    def __call__(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        channels: Literal["reject", "first", "mean"] = "mean",
    ) -> Result:
        """Process one utterance.

        Args:
            audio: A file, or samples of shape (samples,).
            sample_rate: Rate of the samples in Hz; files know theirs.
            channels: What to do with a file of several channels.

        Raises:
            UserError: The audio cannot be read, or its rate is not known.
        """
        return self.batch([audio], sample_rate=sample_rate, channels=channels)[0]

    def batch(
        self,
        audio: Sequence[Audio],
        *,
        sample_rate: int | None = None,
        channels: Literal["reject", "first", "mean"] = "mean",
    ) -> list[Result]:
        """Process utterances, in batches of similar length; results in the order of the input.

        Audio of another rate is converted to the model's with soxr.

        Raises:
            UserError: Audio cannot be read, or its rate is not known.
        """
        items = [
            {"id": f"{number}", "speech": self._samples(entry, number, sample_rate, channels)}
            for number, entry in enumerate(audio)
        ]
        names = [
            str(number) if isinstance(entry, np.ndarray) else os.fspath(entry)
            for number, entry in enumerate(audio)
        ]
        seconds = [len(item["speech"]) / (self.sample_rate or 1) for item in items]
        records = self._decode(items, seconds)
        return [
            Result.of(name, length, record)
            for name, length, record in zip(names, seconds, records, strict=True)
        ]

    def process(
        self, items: Sequence[Item], *, lengths: Sequence[float] | None = None
    ) -> list[dict[str, Any]]:
        """What the model makes of items with any fields: texts to be spoken, for example.

        Args:
            items: Each with ``id`` and what the model takes; the tokenizer makes tokens of ``text``.
            lengths: Seconds of each item, or what else tells how much room it takes, for batches of similar
                ones; None keeps the order.

        Returns:
            One dict per item, in their order; audio in it is :class:`espnet3_core.infer.audio.Audio`.

        Raises:
            UserError: A field cannot be used.
        """
        return self._decode(items, lengths)

    def _decode(self, items: Sequence[Item], seconds: Sequence[float] | None) -> list[dict[str, Any]]:
        from espnet3_core.infer.decoder import check_results, plain
        from espnet3_core.infer.devices import arithmetic, to_device
        from espnet3_core.infer.planning import batches_of

        prepared = PreparedDataset(
            items,
            sample_rate=self.sample_rate,
            preprocess=[
                transform for field, transform in self._preprocess if all(field in item for item in items)
            ],
            tokenizer=self.tokenizer,
        )
        limits = self.config.get("batch") or {}
        size = 1 if self._alone else limits.get("size")
        groups = batches_of(range(len(items)), seconds, seconds=limits.get("seconds"), size=size)
        records: list[dict[str, Any]] = [{} for _ in items]
        for group in groups:
            batch = [prepared[index] for index in group]
            with arithmetic(self.device, "fp32"):
                found = self._infer(to_device(self._collate(batch), self.device))
            check_results(found, [item["id"] for item in batch])
            for index, record in zip(group, found, strict=True):
                records[index] = plain(record)
        return records

    def _samples(
        self, audio: Audio, number: int, rate: int | None, channels: Literal["reject", "first", "mean"]
    ) -> Samples:
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


def _to_float(audio: NDArray[Any], number: int) -> Samples:
    """Full scale 1, whatever the type of the samples."""
    if audio.dtype.kind == "i":
        return (audio / -float(np.iinfo(audio.dtype).min)).astype(np.float32)
    if audio.dtype.kind != "f":
        raise UserError(f"array {number}: samples of type {audio.dtype}; float or signed integers are wanted")
    if not np.isfinite(audio).all():
        raise UserError(f"array {number}: holds samples that are not finite numbers")
    return audio.astype(np.float32)
