"""Any map-style dataset as the framework needs it: ids, lengths, and items ready for a collator."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data.audio import Samples, resample
from espnet3_core.data.randomness import generator_for
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.protocols import Item

_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """What a sampler asks a dataset for; it carries the epoch into long-lived worker processes.

    Attributes:
        epoch: Epoch, from 0.
        item: Index into the dataset.
        copy: How often the item has come before in this epoch (weighted mixtures repeat items).
    """

    epoch: int
    item: int
    copy: int = 0


def index_id(index: int, count: int) -> str:
    """The id of an item that has none of its own: its index, padded with zeros."""
    return str(index).zfill(max(6, len(str(count))))


def _columns(dataset: Any) -> Sequence[str]:
    """Columns of a Hugging Face dataset, else nothing."""
    names = getattr(dataset, "column_names", None)
    return names if isinstance(names, list) else ()


def ids_of(dataset: Any) -> list[str]:
    """Ids of all items, in order.

    From ``ids()``, a Hugging Face column ``id``, ``describe``, or the items' own field ``id``, for which all
    of them are loaded. A dataset that offers none of these gets its items' indices as ids, and a warning.

    Raises:
        CheckFailed: Two items have one id.
    """
    count = len(dataset)
    if callable(getattr(dataset, "ids", None)):
        ids = [str(name) for name in dataset.ids()]
        if len(ids) != count:
            raise UserError(
                f"{_name(dataset)}: ids() gives {len(ids)} ids for {count} items",
                hint="return one id for each item, in their order",
            )
    elif "id" in _columns(dataset):
        ids = [str(name) for name in dataset["id"]]
    elif callable(getattr(dataset, "describe", None)) and count and "id" in dataset.describe(0):
        ids = [str(dataset.describe(index)["id"]) for index in range(count)]
    elif count and "id" in dataset[0]:
        _log.warning("%s has no ids(): reading all %d items to learn them", _name(dataset), count)
        ids = [str(dataset[index]["id"]) for index in range(count)]
    else:
        _log.warning("%s has no ids(): its items go by their index, %s …", _name(dataset), index_id(0, count))
        return [index_id(index, count) for index in range(count)]
    check_unique(ids, _name(dataset))
    return ids


def known_ids(dataset: Any) -> Sequence[str]:
    """Ids of all items without loading any; their indices where the dataset does not tell."""
    inner = dataset.dataset if isinstance(dataset, PreparedDataset) else dataset
    if callable(getattr(inner, "ids", None)) or "id" in _columns(inner):
        return ids_of(inner)
    return [index_id(index, len(inner)) for index in range(len(inner))]


def id_of(dataset: Any, index: int) -> str:
    """Id of one item, without those of all others where the dataset can describe it."""
    if callable(
        getattr(dataset.dataset if isinstance(dataset, PreparedDataset) else dataset, "describe", None)
    ):
        return str(dataset.describe(index)["id"])
    return known_ids(dataset)[index]


def check_unique(ids: Sequence[str], name: str) -> None:
    """Raise :class:`CheckFailed` listing the ids that stand more than once."""
    if len(set(ids)) == len(ids):
        return
    first: dict[str, int] = {}
    findings = [
        Finding(
            message=f"items {first[key]} and {index} of {name} have the same id {key!r}",
            hint="ids must differ: results are kept by id",
        )
        for index, key in enumerate(ids)
        if first.setdefault(key, index) != index
    ]
    raise CheckFailed(findings)


def lengths_of(dataset: Any) -> NDArray[np.float64] | None:
    """Lengths of all items for batching, usually in seconds, without decoding audio; None when unknown.

    From ``lengths()``, or a Hugging Face column ``duration``, ``seconds`` or ``length``.
    """
    if callable(getattr(dataset, "lengths", None)):
        lengths = dataset.lengths()
        if lengths is None:
            return None
    else:
        column = next((c for c in ("duration", "seconds", "length") if c in _columns(dataset)), None)
        if column is None:
            return None
        lengths = dataset[column]
    found = np.asarray(lengths, np.float64)
    if found.shape != (len(dataset),):
        raise UserError(
            f"{_name(dataset)}: lengths() gives {found.shape} for {len(dataset)} items",
            hint="return the seconds of each item, in their order",
        )
    return found


def fingerprint_of(dataset: Any) -> str:
    """Hash of what a dataset holds: its own ``fingerprint()`` (of a manifest: its bytes), else of its ids."""
    own = getattr(dataset, "fingerprint", None)
    if callable(own):
        return str(own())
    return hashlib.sha256("\0".join(ids_of(dataset)).encode()).hexdigest()


def measure_lengths(dataset: Any, sample_rate: int) -> NDArray[np.float64]:
    """Seconds of each item, by loading every one of them once."""
    _log.warning("%s has no lengths(): reading all %d items once to learn them", _name(dataset), len(dataset))
    return np.array([_seconds(dataset[index], sample_rate) for index in range(len(dataset))], np.float64)


def _seconds(item: Mapping[str, Any], sample_rate: int) -> float:
    audio = item.get("speech", item.get("audio"))
    if audio is not None:
        samples, rate = _audio_value(audio)
        return float(samples.shape[-1] / (rate or sample_rate))
    sizes = [np.shape(value)[0] for value in item.values() if not isinstance(value, str) and np.ndim(value)]
    return max(sizes, default=1) / sample_rate


def origin_of(dataset: Any, index: int) -> tuple[Any, int]:
    """The dataset that an item comes from in the end, and its index there."""
    part: Any = dataset.dataset if isinstance(dataset, PreparedDataset) else dataset
    while callable(getattr(part, "part_of", None)):
        part, index = part.part_of(index)
    return part, index


def audio_of(dataset: Any, index: int) -> tuple[str, float, float | None] | None:
    """File of an item's audio, start and end in it in seconds; None where only loading the item gives it."""
    part, inner = origin_of(dataset, index)
    if not (callable(getattr(part, "audio_path", None)) and callable(getattr(part, "span", None))):
        return None
    try:
        return (part.audio_path(inner), *part.span(inner))
    except UserError:  # a corpus of text, or of shards
        return None


def place_of(dataset: Any, index: int) -> str | None:
    """``file:line`` of an item, where the dataset knows it."""
    source = getattr(dataset, "source", None)
    return str(source(index)) if callable(source) else None


def _name(dataset: Any) -> str:
    return type(dataset).__name__


def _audio_value(value: Any) -> tuple[NDArray[Any], int | None]:
    """Samples and rate of Hugging Face's audio: a dict, or a decoder with ``get_all_samples()``."""
    if callable(getattr(value, "get_all_samples", None)):
        decoded = value.get_all_samples()
        return np.asarray(decoded.data), int(decoded.sample_rate)
    if isinstance(value, Mapping) and "array" in value:
        rate = value.get("sampling_rate")
        return np.asarray(value["array"]), None if rate is None else int(rate)
    return np.asarray(value), None


class PreparedDataset:
    """A dataset with what happens to each item before collation.

    In order: Hugging Face's ``audio`` becomes ``speech``; ``preprocess``; ``transforms`` (training only);
    ``text`` becomes token ids (training items must have it). Items are asked for by :class:`Key` (or plain
    index, which is epoch 0), and are the same whichever process loads them, because randomness is drawn from
    (seed, epoch, id).

    Args:
        dataset: Any map-style dataset of dicts.
        sample_rate: Rate in Hz that Hugging Face audio must have.
        preprocess: Transforms of every item.
        transforms: Augmentation; applied only when ``training``.
        tokenizer: Has ``encode(text) -> list[int]``; None leaves ``text`` as it is.
        text_field: The field that is tokenized.
        seed: Of augmentation.
        training: Whether to augment.
        resample: ``soxr`` converts Hugging Face audio of another rate; ``reject`` refuses it.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        sample_rate: int | None = None,
        preprocess: Sequence[Callable[[Item, Any], Item]] = (),
        transforms: Sequence[Callable[[Item, Any], Item]] = (),
        tokenizer: Any = None,
        text_field: str = "text",
        seed: int = 0,
        training: bool = False,
        resample: str = "reject",
    ) -> None:
        self.dataset = dataset
        self.sample_rate = sample_rate
        self.preprocess = tuple(preprocess)
        self.transforms = tuple(transforms) if training else ()
        self.tokenizer = tokenizer
        self.text_field = text_field
        self.seed = seed
        self.training = training
        self.resample = resample

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key | int) -> Item:
        epoch, index, copy = key if isinstance(key, tuple) else Key(0, int(key))
        item = dict(self.dataset[index])
        name = str(item.get("id", index_id(index, len(self))))
        item["id"] = name
        rng = generator_for(self.seed, epoch, name, copy) if self.transforms or self.preprocess else None
        try:
            item = self._audio(item)
            for transform in (*self.preprocess, *self.transforms):
                item = transform(item, rng)
            return self._tokenized(item)
        except UserError as error:
            raise _located(error, name, place_of(self.dataset, index)) from error
        except Exception as error:
            error.add_note(f"utterance {name!r}, listed at {place_of(self.dataset, index)}")
            raise

    def _audio(self, item: Item) -> Item:
        if "audio" not in item or "speech" in item:
            return item
        samples, rate = _audio_value(item["audio"])
        speech: Samples = np.asarray(samples, np.float32)
        if speech.ndim == 2 and 1 in speech.shape:
            speech = speech.reshape(-1)
        if speech.ndim != 1:
            raise UserError(
                f"its audio has shape {speech.shape}, and one channel is wanted",
                hint="average or choose channels in __getitem__, or in the column before training",
            )
        if rate is not None and self.sample_rate is not None and rate != self.sample_rate:
            if self.resample != "soxr":
                raise UserError(
                    f"its audio is sampled at {rate} Hz, the recipe's sample_rate is {self.sample_rate} Hz",
                    hint="cast the column: dataset.cast_column('audio', Audio(sampling_rate=…))",
                )
            speech = resample(speech, rate, self.sample_rate)
        return {**{key: value for key, value in item.items() if key != "audio"}, "speech": speech}

    def _tokenized(self, item: Item) -> Item:
        if self.tokenizer is None:
            return item
        if self.text_field not in item:
            if not self.training:
                return item
            raise UserError(
                f"it has no field {self.text_field!r} to train on",
                hint="give the data a text column; `columns: {text: <header>}` says which it is",
            )
        text = item[self.text_field]
        if not isinstance(text, str):
            raise UserError(
                f"its {self.text_field} is {type(text).__name__}, and text is wanted",
                hint="return a string from __getitem__; `columns` says which header holds the text",
            )
        return {**item, self.text_field: np.asarray(self.tokenizer.encode(text), np.int64).reshape(-1)}

    def ids(self) -> list[str]:
        """Ids of all items, in order."""
        return ids_of(self.dataset) if callable(getattr(self.dataset, "ids", None)) else self._learnt_ids

    @cached_property
    def _learnt_ids(self) -> list[str]:
        """Ids that the items had to be read for: once, as stages ask several times."""
        return ids_of(self.dataset)

    def lengths(self) -> NDArray[np.float64] | None:
        """Lengths of all items before augmentation; None when unknown."""
        return lengths_of(self.dataset)

    def describe(self, index: int) -> Item:
        """Fields of an item except audio, preprocessed but not tokenized."""
        found = getattr(self.dataset, "describe", None)
        raw = found(index) if callable(found) else self.dataset[index]
        item = {key: value for key, value in raw.items() if key not in ("speech", "audio")}
        item.setdefault("id", index_id(index, len(self)))
        for transform in self.preprocess:
            item = transform(item, generator_for(self.seed, 0, item["id"], 0))
        return item

    def source(self, index: int) -> str | None:
        """``file:line`` of an item, where the dataset knows it."""
        return place_of(self.dataset, index)

    def epoch_indices(self, seed: int, epoch: int) -> NDArray[np.int64] | None:
        """Indices that make up an epoch, for datasets that choose (weighted mixtures); None for all."""
        found = getattr(self.dataset, "epoch_indices", None)
        chosen = found(seed, epoch) if callable(found) else None
        return None if chosen is None else np.asarray(chosen, np.int64)


def _located(error: UserError, name: str, place: str | None) -> UserError:
    """``error`` with the utterance and its place, unless it names them already."""
    if repr(name) in error.message:
        return error
    head = f"{place}: " if place else ""
    located = UserError(f"{head}utterance {name!r}: {error.message}", hint=error.hint)
    located.exit_code = error.exit_code
    return located
