"""Decoding of batches: items are read ahead, go through the model, and come back as plain records."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError
from espnet3_core.infer.audio import store
from espnet3_core.infer.devices import arithmetic, decoded_alone, pick_device, seeded, to_device
from espnet3_core.infer.planning import Work
from espnet3_core.memory import free_memory, is_out_of_memory, keep_freed_memory
from espnet3_core.protocols import Batch, Item
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.workers import ContextReference

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Outcome:
    """What became of a shard.

    Attributes:
        records: One per item, in the order of the shard.
        seconds: Time that the model took.
    """

    records: list[dict[str, Any]]
    seconds: float


@dataclass(frozen=True)
class DecoderSetup:
    """Makes a :class:`Decoder` in a worker; sent there as a reference to the context.

    Attributes:
        reference: Names the context.
        checkpoint: File of the weights.
    """

    reference: ContextReference
    checkpoint: Path

    def __call__(self) -> Decoder:
        """Open the context, read the test sets and load the model."""
        from espnet3_core.infer.stage import works_of

        context = self.reference.open()
        return Decoder(context, works_of(context), self.checkpoint)


class Decoder:
    """Decodes shards of the test sets with a model that is built once.

    Args:
        context: The stage's context.
        works: The test sets.
        checkpoint: File of the weights.
    """

    def __init__(self, context: StageContext, works: Sequence[Work], checkpoint: Path) -> None:
        self.config = context.config("inference")
        self.offsets = [work.offset for work in works]
        self.works = list(works)
        self.folders = [context.inference_directory / work.name for work in works]
        self.device = pick_device(self.config.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        tokenizer = context.build_tokenizer()
        self.prepared = [prepared(context, work.dataset, tokenizer) for work in works]
        self.collate = collator_of(context, tokenizer)
        self.sample_rate = context.sample_rate
        model = load_model(context, tokenizer, checkpoint, self.device)
        search = search_of(context, tokenizer, model, self.device)
        self.infer: Callable[[Batch], list[dict[str, Any]]] = search.infer
        self.alone = decoded_alone(model, search)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._ahead: dict[tuple[int, ...], Future[list[Item | UserError]]] = {}

    def prefetch(self, shard: Sequence[int]) -> None:
        """Start to read the items of a shard."""
        key = tuple(shard)
        if key not in self._ahead:
            run = contextvars.copy_context().run
            self._ahead[key] = self._reader.submit(run, self._read, key)

    def __call__(self, shard: Sequence[int]) -> Outcome:
        """Decode the items of a shard.

        Raises:
            UserError: With ``on_error: stop``: an item cannot be read or decoded.
        """
        self.prefetch(shard)
        items = self._ahead.pop(tuple(shard)).result()
        records: list[dict[str, Any]] = [{} for _ in items]
        good: list[int] = []
        for position, item in enumerate(items):
            if isinstance(item, UserError):
                records[position] = self._failed(shard[position], item)
            else:
                good.append(position)
        start = time.perf_counter()
        found = self._decode([items[position] for position in good])  # type: ignore[misc]
        seconds = time.perf_counter() - start
        for position, record in zip(good, found, strict=True):
            records[position] = store(record, self.folders[self._place(shard[position])[0]])
        return Outcome(records, seconds)

    def _read(self, shard: Sequence[int]) -> list[Item | UserError]:
        return [self._item(index) for index in shard]

    def _item(self, index: int) -> Item | UserError:
        number, local = self._place(index)
        try:
            return {**self.prepared[number][local], "id": self.works[number].ids[local]}
        except UserError as error:
            return error
        except Exception as error:  # whatever a dataset of the user's own raises over a broken file
            if self.config.on_error == "stop" or isinstance(error, MemoryError):
                raise
            return UserError(f"{type(error).__name__}: {error}")

    def _place(self, index: int) -> tuple[int, int]:
        """Number of an item's test set, and its index there."""
        number = max(n for n, offset in enumerate(self.offsets) if offset <= index)
        return number, index - self.offsets[number]

    def _failed(self, index: int, error: UserError) -> dict[str, Any]:
        if self.config.on_error == "stop":
            raise _with_advice(error)
        number, local = self._place(index)
        return {"id": self.works[number].ids[local], "error": error.message}

    def _decode(self, items: list[Item]) -> list[dict[str, Any]]:
        """Results of some items; a batch that is too large for the memory is halved."""
        if self.alone and len(items) > 1:
            return [record for item in items for record in self._decode([item])]
        if not items:
            return []
        try:
            return self._decode_batch(items)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        free_memory(self.device)
        if len(items) > 1:
            half = len(items) // 2
            return [*self._decode(items[:half]), *self._decode(items[half:])]
        problem = UserError(
            f"utterance {items[0]['id']!r} alone needs more memory than {self.device} has",
            hint="decode it on another device, with a narrower beam, or cut it into parts",
        )
        if self.config.on_error == "stop":
            raise problem
        return [{"id": items[0]["id"], "error": problem.message}]

    def _decode_batch(self, items: list[Item]) -> list[dict[str, Any]]:
        ids = [item["id"] for item in items]
        try:
            batch = to_device(self.collate(items), self.device)
            with arithmetic(self.device, self.config.precision), seeded(self.config.seed, ids):
                results = self.infer(batch)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            if self.config.on_error != "stop":
                return self._without_bad(items, error)
            if isinstance(error, UserError):
                raise _with_advice(_naming(error, ids)) from error
            error.add_note(f"while decoding {_listed(ids)}")
            raise
        check_results(results, ids)
        return [
            {"id": name, **plain(result), **self._duration(item)}
            for name, item, result in zip(ids, items, results, strict=True)
        ]

    def _without_bad(self, items: list[Item], error: Exception) -> list[dict[str, Any]]:
        """Results of a batch that failed: each utterance alone, so that one does not take others with it."""
        if len(items) > 1:
            return [record for item in items for record in self._decode([item])]
        reason = error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return [{"id": items[0]["id"], "error": reason}]

    def _duration(self, item: Item) -> dict[str, float]:
        speech = item.get("speech")
        if speech is None or not self.sample_rate:
            return {}
        return {"duration": round(len(speech) / self.sample_rate, 6)}


def prepared(context: StageContext, dataset: Any, tokenizer: Any) -> Any:
    """A test set with what happens to each item before collation; never augmented."""
    from espnet3_core.data.dataset import PreparedDataset

    config = context.config("training").dataset
    transforms = [component.build(**context.needs()) for component in config.preprocess]
    return PreparedDataset(
        dataset, sample_rate=context.sample_rate, preprocess=transforms, tokenizer=tokenizer
    )


def collator_of(context: StageContext, tokenizer: Any) -> Callable[[list[Item]], Batch]:
    """The recipe's collator."""
    needs = context.needs()
    if tokenizer is not None:
        needs |= {"tokenizer": tokenizer, "vocab_size": len(tokenizer)}
    return context.config("training").collator.build(**needs)  # type: ignore[no-any-return]


def load_model(
    context: StageContext, tokenizer: Any, checkpoint: Path, device: torch.device
) -> torch.nn.Module:
    """The recipe's model with trained weights, in evaluation mode.

    Raises:
        UserError: The checkpoint is another model's.
    """
    from espnet3_core.train.checkpoints import load_weights

    model: torch.nn.Module = context.build_model(tokenizer=tokenizer)
    load_weights(model, checkpoint)
    return model.eval().to(device)


def search_of(context: StageContext, tokenizer: Any, model: torch.nn.Module, device: torch.device) -> Any:
    """What decodes a batch with ``infer``: the search that the configuration names, or the model.

    Raises:
        UserError: Nothing can decode.
    """
    component = context.config("inference").search
    if component is None:
        if not callable(getattr(model, "infer", None)):
            raise UserError(
                f"{type(model).__name__} has no infer(batch), and inference.search names no search",
                hint="set inference.search; espnet3 list search shows what there is",
            )
        return model
    needs = context.needs() | {"model": model, "tokenizer": tokenizer, "device": device}
    if tokenizer is not None:
        needs["vocab_size"] = len(tokenizer)
    return component.build(**needs)


def check_results(results: Any, ids: Sequence[str]) -> None:
    """One dict per utterance.

    Raises:
        UserError: The search or model returned something else.
    """
    if not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
        raise UserError(
            f"infer(batch) returned {type(results).__name__}, and a list of dicts is expected",
            hint='return one dict for each utterance of the batch, such as {"text": …}',
        )
    if len(results) != len(ids):
        raise UserError(
            f"infer(batch) returned {len(results)} results for {len(ids)} utterances",
            hint="return one dict for each utterance of the batch, in its order",
        )


def plain(value: Any) -> Any:
    """A result as JSON can say it: tensors and arrays become numbers and lists; audio stays as it is."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if key != "id"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value


def _naming(error: UserError, ids: Sequence[str]) -> UserError:
    if any(name in error.message for name in ids):
        return error
    return UserError(f"{_listed(ids)}: {error.message}", hint=error.hint)


def _with_advice(error: UserError) -> UserError:
    advice = "inference.on_error=skip notes such utterances as failed and goes on"
    return UserError(error.message, hint=f"{error.hint}; {advice}" if error.hint else advice)


def _listed(ids: Sequence[str]) -> str:
    names = ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
    return f"utterance{'s' if len(ids) > 1 else ''} {names}"
