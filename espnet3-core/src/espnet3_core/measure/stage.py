"""Stage measure: results and references to ``metrics.json``, records per utterance, and a table."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.build import registered_of
from espnet3_core.component import Component
from espnet3_core.data.dataset import PreparedDataset, fingerprint_of
from espnet3_core.data.overlap import Overlap, overlap
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open, atomic_write_json
from espnet3_core.infer.audio import is_stored, stored_audio
from espnet3_core.infer.results import SUMMARY
from espnet3_core.measure.metric import DATASET, Metric
from espnet3_core.measure.report import print_table
from espnet3_core.measure.results import References, names, read_results
from espnet3_core.names import did_you_mean

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext

CHUNK = 1000
"""Utterances per update, so that metrics over audio hold little of it at a time."""

_RESERVED = ("results",)


def measure(context: StageContext) -> None:
    """Score every test set with every metric.

    Raises:
        UserError: Results are missing or of other utterances; a metric has no such input; a name is unknown.
    """
    metrics: Mapping[str, Component] = context.config("metrics").metrics
    tests = _test_sets(context)
    for label in metrics:
        if not re.fullmatch(r"\w[\w.+-]*", label) or label in _RESERVED:
            raise UserError(
                f"metrics.metrics.{label}: the id names files, so it has letters, digits, '_', '-' and '.' "
                f"only, and is not {' or '.join(_RESERVED)}",
                hint="rename it",
            )
    needs = context.needs() | {"tokenizer": context.build_tokenizer()}
    training_set = _training_set(context)
    scores: dict[str, dict[str, Any]] = {}
    for test, component in tests.items():
        path = context.results_file(test)
        records = read_results(path)
        _tell_failures(context, path, records)
        dataset = context.build_dataset(component)
        references = References(_with_clean_texts(context, dataset), test)
        references.check(path, (record["id"] for record in records))
        origin = _origin(path.parent) | {"data": fingerprint_of(dataset)}
        if training_set is not None:
            origin["seen_in_training"] = _tell_overlap(context, test, overlap(dataset, training_set))
        for label, chosen in metrics.items():
            metric: Metric = chosen.build(**needs)
            failed = feed(metric, records, references, path)
            values = _values(metric, chosen) | {"failed": failed, "provenance": origin | _scorer(chosen)}
            scores.setdefault(label, {})[test] = values
            _write_utterances(metric, path.parent, label)
            write_scores(context.inference_directory / "metrics.json", label, test, values)
            context.logger.info(
                "%s of %s is in %s", label, test, context.inference_directory / "metrics.json"
            )
    print_table(scores)


def show_scores(context: StageContext) -> None:
    """Print the scores that ``metrics.json`` holds, where nothing has to be measured again."""
    found = read_scores(context.inference_directory / "metrics.json")
    tests = _test_sets(context)
    print_table(
        {
            label: {test: values for test, values in found[label].items() if test in tests}
            for label in context.config("metrics").metrics
            if label in found
        }
    )


def _training_set(context: StageContext) -> Any:
    """The training data, to see whether a test set is in it; None where it is not at hand."""
    try:
        return context.build_dataset(context.config("training").dataset.train)
    except UserError as error:
        context.logger.info("the test sets are not looked for in the training data: %s", error.message)
        return None


def _tell_overlap(context: StageContext, test: str, shared: Overlap) -> int:
    """Warn of a test set that was trained on; returns how many of its utterances were."""
    if shared.ids:
        context.logger.warning(
            "test set %r: %d utterances have ids that the training set has, too: %s",
            test, len(shared.ids), names(shared.ids),
        )  # fmt: skip
    if shared.audio:
        pairs = [f"{name} (in training: {other})" for name, other in shared.audio.items()]
        context.logger.warning(
            "test set %r: the audio of %d utterances is in the training set, too: %s",
            test, len(pairs), names(pairs),
        )  # fmt: skip
    return len(shared)


def _origin(directory: Path) -> dict[str, Any]:
    """What stands beside the results about the weights that made them."""
    try:
        summary = json.loads((directory / SUMMARY).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # results from elsewhere
        return {}
    return {key: summary[key] for key in ("weights", "training") if key in summary}


def _scorer(component: Component) -> dict[str, Any]:
    """The distribution that a metric is from, with its version."""
    if component.name is None:
        return {}
    provider = registered_of(component).provider
    return {"scorer": f"{provider.distribution} {provider.version}"}


def _tell_failures(context: StageContext, path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    failed = [record["id"] for record in records if "error" in record]
    if failed:
        context.logger.warning(
            "%s: %d of %d utterances had failed and are scored as if nothing was recognised: %s",
            path, len(failed), len(records), names(failed),
        )  # fmt: skip


def _with_clean_texts(context: StageContext, dataset: Any) -> Any:
    """The dataset as the model knows it: with the recipe's clean-up of texts, without that of audio."""
    transforms = [
        component.build(**context.needs())
        for component in context.config("training").dataset.preprocess
        if component.name is None or registered_of(component).role == "text"
    ]
    return PreparedDataset(dataset, preprocess=transforms) if transforms else dataset


def _test_sets(context: StageContext) -> dict[str, Component]:
    known: Mapping[str, Component] = context.config("inference").test_sets
    wanted: Sequence[str] | None = context.config("metrics").test_sets
    for name in wanted or ():
        if name not in known:
            raise UserError(
                f"metrics.test_sets: the inference configuration has no test set {name!r}",
                hint=did_you_mean(name, known, otherwise=f"it has {', '.join(known)}"),
            )
    return {name: known[name] for name in (known if wanted is None else wanted)}


def feed(metric: Metric, records: Sequence[Mapping[str, Any]], references: References, path: Path) -> int:
    """Update a metric with joined records; returns how many utterances had failed.

    Raises:
        UserError: A record lacks a field that the metric reads.
    """
    sources = metric.sources()
    from_results = [name for name, source in sources.items() if not source.startswith(DATASET)]
    scorable = all(name in metric.on_failure for name in from_results)
    failed = sum("error" in record for record in records)
    kept = [record for record in records if scorable or "error" not in record]
    for start in range(0, len(kept), CHUNK):
        chunk = kept[start : start + CHUNK]
        values = {
            name: [_value(metric, name, source, record, references, path) for record in chunk]
            for name, source in sources.items()
        }
        metric.update([record["id"] for record in chunk], **values)
    return failed


def _value(
    metric: Metric, name: str, source: str, record: Mapping[str, Any], references: References, path: Path
) -> Any:
    if source.startswith(DATASET):
        return references.field(record["id"], source.removeprefix(DATASET))
    if "error" in record:
        return metric.on_failure[name]
    if source not in record:
        raise UserError(
            f"{path}: the result of {record['id']!r} has no field {source!r}, which "
            f"{type(metric).__name__} reads",
            hint=did_you_mean(source, record, otherwise=f"its fields are {', '.join(sorted(record))}"),
        )
    value = record[source]
    return stored_audio(value, path.parent) if is_stored(value) else value


def _values(metric: Metric, component: Component) -> dict[str, Any]:
    named = {"metric": component.name or component.target, "version": metric.version}
    named["better"] = metric.better
    ratio = metric.ratio()
    extra = {"ratio": asdict(ratio)} if ratio is not None else {}
    return {**_plain(metric.compute()), **named, **_plain(metric.provenance()), **_plain(extra)}


def _plain(value: Any) -> Any:
    """Values that JSON can write: numpy's numbers as Python's, and null for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_utterances(metric: Metric, directory: Path, label: str) -> None:
    entries = metric.per_utterance()
    if entries:
        with atomic_open(directory / f"{label}.jsonl") as stream:
            for entry in entries:
                stream.write(json.dumps(_plain(entry), ensure_ascii=False, allow_nan=False) + "\n")
    metric.write_artifacts(directory, label)


def write_scores(path: Path, label: str, test: str, values: Mapping[str, Any]) -> None:
    """Put scores into ``metrics.json``; those of other metrics and test sets stay.

    Raises:
        UserError: The file is there and does not hold scores.
    """
    scores = read_scores(path)
    scores.setdefault(label, {})[test] = dict(values)
    atomic_write_json(path, scores)


def read_scores(path: Path) -> dict[str, dict[str, Any]]:
    """Scores by metric and test set; none where the file is not there yet.

    Raises:
        UserError: The file is there and does not hold scores.
    """
    if not path.exists():
        return {}
    try:
        scores = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(scores, dict) or not all(isinstance(tests, dict) for tests in scores.values()):
            raise ValueError("scores by metric and test set are expected")
    except ValueError as error:
        raise UserError(f"{path}: no scores: {error}", hint="rename it; it will be written anew") from None
    return scores
