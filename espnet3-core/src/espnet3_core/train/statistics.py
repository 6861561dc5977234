"""Stage ``collect_stats``: how long the utterances are, and mean and deviation of the model's features.

Results lie in ``stats/<hash>/``, where the hash covers what they depend on, so that an experiment never
trains with statistics of other data. The configuration is only read.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from espnet3_core.component import Component
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_json
from espnet3_core.train.moments import FeatureStatistics, Moments, read_statistics, save_statistics

if TYPE_CHECKING:
    from espnet3_core.data.bad_data import BadData
    from espnet3_core.recipe.context import StageContext

FEATURES = "features.npz"
SUMMARY = "summary.json"
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


def collect_stats(context: StageContext) -> None:
    """Measure the training and validation data; done already when nothing that matters has changed.

    Raises:
        UserError: The data cannot be read, or the model does not return the features that it names.
    """
    folder = statistics_folder(context)
    if (folder / SUMMARY).exists() and not context.force:
        context.logger.info("statistics are up to date: %s", folder.name)
        return
    from espnet3_core.train.datasets import bad_data, prepared

    config = context.config("training")
    tokenizer = context.build_tokenizer()
    train_set = prepared(context, config.dataset.train, tokenizer, training=False)
    splits = {"train": train_set}
    if config.dataset.valid is not None:
        splits["valid"] = prepared(context, config.dataset.valid, tokenizer, training=False)
    summary: dict[str, Any] = {split: durations(dataset) for split, dataset in splits.items()}
    for split, facts in summary.items():
        context.logger.info("%s: %s", split, duration_words(facts))
    lists = {split: bad_data(context, split, dataset, anew=True) for split, dataset in splits.items()}
    model = context.build_model(stats=None, tokenizer=tokenizer)
    if tuple(getattr(model, "statistics_of", ())):
        found = measure(context, model, train_set, lists["train"])
        save_statistics(folder / FEATURES, found)
        summary["features"] = {
            name: {"frames": stats.count, "dim": len(stats.mean)} for name, stats in found.items()
        }
    for split, listed in lists.items():
        if listed.items:
            summary[split]["failed"] = [{"id": item.id, "error": str(item)} for item in listed.items.values()]
    atomic_write_json(folder / SUMMARY, summary)
    context.note(statistics=folder.name)


def load_statistics(context: StageContext) -> dict[str, FeatureStatistics] | None:
    """Feature statistics for the training configuration as it stands; None when there are none."""
    path = statistics_folder(context) / FEATURES
    return read_statistics(path) if path.exists() else None


def require_statistics(model: Any, statistics: dict[str, FeatureStatistics] | None) -> None:
    """Stop a training whose model wants statistics that were not collected.

    Raises:
        UserError: Some are missing.
    """
    missing = [name for name in getattr(model, "statistics_of", ()) if name not in (statistics or {})]
    if missing:
        raise UserError(
            f"the model normalises {', '.join(map(repr, missing))} and there are no statistics of this data",
            hint="run stage collect_stats first",
        )


def statistics_folder(context: StageContext) -> Path:
    """``stats/<hash>`` for what the statistics depend on: data, their selection, rate, and front end."""
    config = context.config("training")
    data = config.dataset
    parts = {
        "train": _data_key(context, data.train),
        "valid": None if data.valid is None else _data_key(context, data.valid),
        "preprocess": [component.to_node() for component in data.preprocess],
        "bounds": [data.min_seconds, data.max_seconds],
        "sample_rate": data.sample_rate,
        "features": _feature_key(config.model),
    }
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return Path(context.experiment.stats) / hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    return value.to_node() if isinstance(value, Component) else str(value)


def _data_key(context: StageContext, component: Component) -> Any:
    dataset = context.build_dataset(component)
    fingerprint = getattr(dataset, "fingerprint", None)
    return [component.to_node(), str(fingerprint()) if callable(fingerprint) else len(dataset)]


def _feature_key(model: Component) -> Any:
    """The part of the model that makes features: its front end where it has one, else all of it."""
    config: Any = model.config if model.name is not None else None
    frontend = getattr(config, "frontend", None) or model.options.get("frontend")
    return model.to_node() if frontend is None else frontend


def durations(dataset: Any) -> dict[str, Any]:
    """Number of utterances and, where lengths are known, hours and percentiles in seconds."""
    lengths = dataset.lengths()
    if lengths is None or not len(lengths):
        return {"utterances": len(dataset)}
    values = np.asarray(lengths, np.float64)
    points = np.percentile(values, PERCENTILES)
    return {
        "utterances": len(values),
        "hours": float(values.sum() / 3600),
        "seconds": {
            str(name): round(float(point), 4) for name, point in zip(PERCENTILES, points, strict=True)
        },
    }


def duration_words(facts: dict[str, Any]) -> str:
    """A summary as a line of text."""
    words = f"{facts['utterances']:,} utterances"
    if "seconds" not in facts:
        return words
    points = facts["seconds"]
    return (
        f"{words}, {facts['hours']:.2f} h, {points['0']:g} to {points['100']:g} s, median {points['50']:g} s"
    )


def measure(
    context: StageContext, model: Any, dataset: Any, bad: BadData | None = None
) -> dict[str, FeatureStatistics]:
    """Statistics of the features that the model names, over a dataset without augmentation."""
    import torch

    from espnet3_core.data.loader import build_loader
    from espnet3_core.recipe.progress import progress
    from espnet3_core.train.outputs import FieldSelector, is_empty

    config = context.config("training")
    device = torch.device("cuda" if _on_cuda(config.trainer.get("accelerator", "auto")) else "cpu")
    loader = build_loader(
        dataset,
        config.batch.without_gradients(),
        collator=config.collator.build(**context.needs()),
        shuffle=False,
        sample_rate=config.dataset.sample_rate,
        min_seconds=config.dataset.min_seconds,
        max_seconds=config.dataset.max_seconds,
        bad=bad,
    )
    names = tuple(model.statistics_of)
    moments = {name: Moments() for name in names}
    select = FieldSelector(model.collect_feats)
    model.to(device).eval()
    with torch.inference_mode(), progress("statistics", len(loader), "batches") as advance:
        for batch in loader:
            advance(1)
            if is_empty(batch):
                continue
            fields = {
                key: value.to(device) if isinstance(value, torch.Tensor) else value
                for key, value in select(batch).items()
            }
            found = model.collect_feats(**fields)
            for name in names:
                try:
                    moments[name].add(frames_of(found, name))
                except ValueError as error:
                    raise UserError(
                        f"{name!r} of {', '.join(batch['ids'])}: {error}",
                        hint="espnet3 data check finds audio that holds values which are not numbers",
                    ) from error
    return {name: part.result() for name, part in moments.items()}


def frames_of(found: Any, name: str) -> Any:
    """Frames of a model's features, without padding, (frames, dim).

    Raises:
        UserError: ``collect_feats`` did not return the features that the model names.
    """
    import torch

    if name not in found or f"{name}_lengths" not in found:
        raise UserError(
            f"training.model: collect_feats returns {', '.join(map(repr, found))}, "
            f"and the model's statistics_of names {name!r}",
            hint=f"return {name!r} and '{name}_lengths'",
        )
    values, lengths = found[name], found[f"{name}_lengths"]
    mask = torch.arange(values.shape[1], device=values.device) < lengths.to(values.device)[:, None]
    frames = values[mask].cpu()
    return (frames if frames.dtype == torch.float64 else frames.float()).numpy()


def _on_cuda(accelerator: Any) -> bool:
    import torch

    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
