"""``batch: {auto: true}``: how many seconds of audio a batch may hold, found by trying.

A batch of the longest utterances goes through forward, backward and optimizer step of a copy of the model;
with the same padded seconds no other batch needs more memory, because what grows with the square of the
length (attention) is largest there. What is found is written to ``batch.json`` in the experiment and is used
from then on: a training that goes on, on whatever machine, has the batches that it began with.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from espnet3_core.config.roles import BatchConfig, TrainingConfig
from espnet3_core.data.dataset import Key
from espnet3_core.data.loader import within
from espnet3_core.data.reading import Failed, Reader
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_json
from espnet3_core.infer.devices import to_device
from espnet3_core.memory import free_memory, is_out_of_memory
from espnet3_core.train.outputs import FieldSelector, step_output
from espnet3_core.train.parameters import parameter_groups

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext

MARGIN = 0.9
"""Share of the largest batch that fits which is used: fragmentation and speed perturbation need the rest."""
_GIB = 1 << 30
_PATIENCE = 3600.0


def found_batch(context: StageContext, module: Any, trainer: Any, data: Any, *, resumed: bool) -> BatchConfig:
    """The batching of a training: as configured, or with the limit that was found by trying.

    Rank 0 tries, the others wait for what it finds.

    Args:
        context: Of the stage.
        module: The training module; it stays as it is.
        trainer: Says the device, the precision and the number of processes.
        data: A :class:`espnet3_core.train.data.TrainingData`.
        resumed: Training goes on, and must have the batches that it began with.

    Raises:
        UserError: Lengths or the memory limit are unknown, one utterance does not fit, or the limit that
            training began with is lost.
    """
    config: TrainingConfig = context.config("training")
    if not config.batch.auto:
        return config.batch
    if config.optimizers:
        raise UserError(
            "training.batch.auto does not work with training.optimizers, whose turns it cannot try",
            hint="set training.batch.seconds or training.batch.size",
        )
    file = context.experiment.directory / "batch.json"
    lengths = data.train_set.lengths()
    if lengths is None:
        raise UserError(
            "training.batch.auto: the dataset does not know its lengths", hint="set training.batch.seconds"
        )
    key = _key(config, lengths, trainer)
    known = _read(file)
    if resumed and known is None:
        raise UserError(
            f"{file} is lost, and with it the size of this training's batches",
            hint="put it back, or set training.batch.seconds to what the log says",
        )
    if context.rank and not resumed:
        known = _wait(file, key)
    if known is None or (known["key"] != key and not resumed):
        known = {"key": key, **_probe(config, module, trainer, data, np.asarray(lengths))}
        atomic_write_json(file, known)
    context.logger.info(
        "batch.auto: %.1f s of padded audio in a batch, per device (%s)", known["seconds"], file.name
    )
    return replace(config.batch, auto=False, seconds=_together(known, _sharing(config, trainer)))


def _sharing(config: Any, trainer: Any) -> int:
    """How many devices the items of a batch are dealt out to."""
    return int(trainer.world_size) if config.batch.scope == "global" else 1


def _together(known: Mapping[str, Any], devices: int) -> float:
    """Limit of a batch that is dealt out, none of whose parts is beyond the limit of a device.

    A part has up to one item more than the mean.

    >>> _together({"seconds": 30.0, "longest": 10.0}, 4)  # 9 items: 3, 2, 2 and 2
    90.0
    """
    return float(devices * known["seconds"] - (devices - 1) * known["longest"])


def _key(config: Any, lengths: Any, trainer: Any) -> str:
    """What the outcome depends on."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    parts = [config.model.to_node(), config.optimizer.to_node(), config.batch, config.dataset.max_seconds]
    digest = hashlib.sha256(repr([*parts, str(trainer.precision), name, trainer.world_size]).encode())
    digest.update(np.asarray(lengths, np.float64).tobytes())
    return digest.hexdigest()


def _read(file: Path) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(file.read_text("utf-8"))
        return {**found, "key": str(found["key"]), "seconds": float(found["seconds"])}
    return None


def _wait(file: Path, key: str) -> dict[str, Any]:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if (known := _read(file)) is not None and known["key"] == key:
            return known
        time.sleep(0.2)
    raise UserError(
        f"training.batch.auto: the first process wrote no {file.name} within an hour",
        hint="look at its log; training.batch.seconds instead of auto needs no trial",
    )


def _probe(config: Any, module: Any, trainer: Any, data: Any, lengths: Any) -> dict[str, Any]:
    """Try batches of the longest utterances."""
    bounds = (config.dataset.min_seconds, config.dataset.max_seconds)
    allowed = np.flatnonzero(within(lengths, *bounds))
    if not len(allowed):
        raise UserError("training.batch.auto: no utterance is left", hint="see min_seconds and max_seconds")
    order = allowed[np.argsort(-lengths[allowed], kind="stable")]
    longest = float(lengths[order[0]])
    most, sharing = len(order), _sharing(config, trainer)
    if config.batch.size is not None:
        most = min(most, max(1, math.ceil(config.batch.size / sharing)))
    if config.batch.seconds is not None:
        most = min(most, max(1, math.ceil(config.batch.seconds // longest / sharing)))
    device = trainer.strategy.root_device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        count, tried = _search(_Trial(config, module, trainer, data), order.tolist(), most)
    free_memory(device)
    if not count:
        raise UserError(
            f"training.batch.auto: an utterance of {longest:.1f} s alone does not fit into the memory",
            hint="set training.dataset.max_seconds, or take a smaller model",
        )
    seconds = max(longest, MARGIN * count * longest) if count < most else count * longest
    return {"seconds": round(seconds, 3), "longest": longest, "tried": tried}


def _search(trial: _Trial, order: list[int], most: int) -> tuple[int, list[list[Any]]]:
    """How many of the longest utterances fit, and all that was tried."""
    tried: list[list[Any]] = []

    def fits(count: int) -> bool:
        tried.append([count, trial([Key(0, index) for index in order[:count]])])
        return bool(tried[-1][1])

    return largest(fits, most), tried


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest number from 1 to ``most`` that fits, 0 for none; larger ones than that are held not to.

    >>> largest(lambda count: count <= 13, 100)
    13
    """
    good, bad = 0, 1
    while bad <= most and fits(bad):
        good, bad = bad, min(2 * bad, most) if bad < most else most + 1
    while bad - good > 1 and bad <= most:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


class _Trial:
    """Trains a copy of the model on some items, and says whether that fitted."""

    def __init__(self, config: Any, module: Any, trainer: Any, data: Any) -> None:
        self.device, self.precision = trainer.strategy.root_device, trainer.precision_plugin
        self.limit = _limit(config.batch, self.device)
        self.reader = Reader(data.train_set, lenient=config.dataset.on_error != "stop")
        self.collator = data.collator
        self.model = self.precision.convert_module(copy.deepcopy(module.model)).to(self.device).train()
        groups = parameter_groups(self.model, config.parameters)
        self.optimizer = config.optimizer.build(parameters=groups, params=groups)
        self.select = FieldSelector(self.model)

    def __call__(self, keys: list[Key]) -> bool:
        self.optimizer.zero_grad()
        free_memory(self.device)
        _reset_peak(self.device)
        try:
            self._step(keys)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return False
        return _peak(self.device) <= self.limit

    def _step(self, keys: list[Key]) -> None:
        read = self.reader.__getitems__(keys)
        if isinstance(read, Failed):
            raise read.error
        items = list(islice(cycle(read.items), len(keys)))  # others take the place of what cannot be read
        fields = to_device(self.collator(items), self.device)
        with self.precision.train_step_context():
            loss = step_output(self.model(**self.select(fields)), fields).loss
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()


def _limit(batch: BatchConfig, device: torch.device) -> float:
    """Bytes that a step may take."""
    if batch.memory is not None:
        return batch.memory * _GIB
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    raise UserError(
        "training.batch.auto needs a limit on this device",
        hint="set training.batch.memory to the GiB that the training process may take",
    )


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak(device: torch.device) -> float:
    """Most bytes held since :func:`_reset_peak`: on CUDA what is reserved, else what is resident."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device))
    try:
        status = Path("/proc/self/status").read_text()
    except OSError as error:
        raise UserError(
            "training.batch.auto works on CUDA, and on the CPU under Linux",
            hint="set training.batch.seconds or training.batch.size",
        ) from error
    return 1024 * float(status.partition("VmHWM:")[2].split()[0])
