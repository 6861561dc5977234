"""What training stands behind a set of weights: it is kept beside the results, and beside their scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.train.checkpoints import read_index

if TYPE_CHECKING:
    from espnet3_core.recipe.experiment import Experiment

EFFECTIVE_BATCH = "effective_batch"


def effective_batch(trainer: Any) -> dict[str, Any]:
    """What one update sees on average: utterances, seconds of audio, processes, batches accumulated.

    Counts are missing where the loader is not ours, seconds where lengths are unknown.
    """
    processes, accumulated = trainer.world_size, trainer.accumulate_grad_batches
    found: dict[str, Any] = {"processes": processes, "accumulated": accumulated}
    sampler: Any = getattr(trainer.train_dataloader, "batch_sampler", None)
    if not hasattr(sampler, "held"):
        return found
    held, share = sampler.held(), accumulated / max(len(sampler), 1)
    found["utterances"] = round(len(held) * share, 3)
    if sampler.known:
        found["seconds"] = round(float(sampler.lengths[held].sum()) * share, 3)
    return found


def late_warmup(trainer: Any) -> str | None:
    """What to say of a training that ended before its warm-up did."""
    warmup = max((getattr(entry.scheduler, "warmup", 0) for entry in trainer.lr_scheduler_configs), default=0)
    if trainer.global_step >= warmup:
        return None
    return (
        f"training.scheduler.warmup: training ended after {trainer.global_step} updates, within the warm-up "
        f"of {warmup}: the learning rate never reached the optimizer's"
    )


def training_behind(experiment: Experiment, weights: Path) -> dict[str, Any]:
    """Of what training some weights are; what cannot be told, as of weights from elsewhere, is left out.

    Args:
        experiment: Where they were asked for.
        weights: The file.

    Returns:
        ``updates``, optimizer steps (of the latest model of an average); ``averaged``, how many models, and
        ``wanted``, how many were asked for; ``effective_batch``, from :func:`effective_batch`.
    """
    from espnet3_core.recipe.records import read_record

    if weights.parent.resolve() != experiment.checkpoints.resolve():
        return {}
    index = read_index(experiment.checkpoints)
    record = read_record(experiment.record("train"))
    found = _of_last(index, weights.name) or _of_average(index, weights) or _of_model(weights)
    if record is not None and EFFECTIVE_BATCH in record.facts:
        found[EFFECTIVE_BATCH] = record.facts[EFFECTIVE_BATCH]
    return found


def too_few(training: Mapping[str, Any]) -> str | None:
    """What to say of an average over fewer models than asked for."""
    averaged, wanted = training.get("averaged"), training.get("wanted")
    if averaged is None or wanted is None or averaged >= wanted:
        return None
    return (
        f"the weights are an average over {averaged} models, and training.checkpoint.best asks for {wanted}: "
        "there were not more validations"
    )


def _of_last(index: Mapping[str, Any], name: str) -> dict[str, Any]:
    last = index.get("last") or {}
    return {"updates": last["step"]} if last.get("file") == name else {}


def _of_average(index: Mapping[str, Any], weights: Path) -> dict[str, Any]:
    for table in index.get("selections", ()):
        average = table["average"]
        if average and average["file"] == weights.name:
            steps = [source["step"] for source in average["sources"]]
            return {"updates": max(steps), "averaged": len(steps), "wanted": table["keep"]}
    return {}


def _of_model(weights: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(weights), framework="pt") as stream:
            return {"updates": json.loads(stream.metadata()["step"])}
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return {}
