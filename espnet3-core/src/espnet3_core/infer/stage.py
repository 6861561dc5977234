"""Stage infer: every utterance of every test set through the model, whatever happens to one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from espnet3_core.data.bad_data import BAD_DATA, BadData, broken_lines
from espnet3_core.data.dataset import fingerprint_of
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_json
from espnet3_core.infer.decoder import Decoder, DecoderSetup, Outcome
from espnet3_core.infer.executors import WorkerLost
from espnet3_core.infer.planning import Work, batches_of, make_work
from espnet3_core.infer.results import SUMMARY, Parts, write_results
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.fingerprint import config_parts, digest_of, file_part
from espnet3_core.recipe.progress import progress
from espnet3_core.recipe.records import UNFINISHED
from espnet3_core.recipe.workers import ContextReference
from espnet3_core.train.provenance import too_few, training_behind


def infer(context: StageContext) -> None:
    """Decode the test sets of the inference configuration.

    Writes, for each test set, ``<inference>/<test>/results.jsonl`` with one JSON object per utterance in the
    order of the data (failed ones are ``{"id", "error"}``), ``text.scp`` and ``summary.json``.

    Raises:
        UserError: There is no checkpoint, a test set cannot be read, or an utterance fails and
            ``on_error`` is ``stop``.
    """
    checkpoint = find_checkpoint(context)
    context.logger.info("weights: %s", checkpoint)
    works = works_of(context)
    identity = file_part(checkpoint) if checkpoint.is_file() else str(checkpoint)
    parts = [
        Parts(context.inference_directory / work.name, _fingerprint(context, work, identity))
        for work in works
    ]
    for work, kept in zip(works, parts, strict=True):
        work.bad = _bad_data(context, work)
        work.done = {} if context.force else kept.read(work.ids)
        work.leave_out_quarantined()
        if work.done:
            context.logger.info("%s: %d of %d were decoded before", work.name, len(work.done), len(work.ids))
    start = time.perf_counter()
    try:
        _decode(context, works, parts, checkpoint)
    finally:
        for kept in parts:
            kept.close()
    _finish(context, works, checkpoint, identity, time.perf_counter() - start)
    for work, kept in zip(works, parts, strict=True):
        if not work.to_try_again:
            kept.remove()


def _bad_data(context: StageContext, work: Work) -> BadData:
    """The list of a test set's failed utterances; with ``skip`` it begins anew, so that all are tried."""
    config = context.config("inference")
    found = BadData(
        config.on_error,
        config.max_errors,
        count=len(work.ids),
        file=context.inference_directory / work.name / f"{BAD_DATA}.jsonl",
        name=work.name,
        key="inference.on_error",
    )
    found.start_anew()
    found.report(broken_lines(work.dataset))
    return found


def find_checkpoint(context: StageContext) -> Path:
    """The file that ``inference.checkpoint`` means; a path may be relative to the recipe."""
    from espnet3_core.train.checkpoints import resolve_checkpoint

    which: str = context.config("inference").checkpoint
    return resolve_checkpoint(context.experiment.directory, which, context.recipe.directory)


def works_of(context: StageContext) -> list[Work]:
    """The test sets, their items numbered through.

    Raises:
        UserError: There is none, or one cannot be read.
    """
    test_sets = context.config("inference").test_sets
    if not test_sets:
        raise UserError(
            "inference.test_sets: there is none", hint="name at least one: test: {name: core/manifest, …}"
        )
    works: list[Work] = []
    for name, component in test_sets.items():
        offset = works[-1].offset + len(works[-1].ids) if works else 0
        works.append(make_work(name, context.build_dataset(component), offset))
    return works


def _fingerprint(context: StageContext, work: Work, weights: str) -> str:
    """Of all that the records of one test set depend on."""
    keys = config_parts(context.stage, {"inference": context.node("inference")})
    others = tuple(
        f"inference.test_sets.{name}" for name in context.config("inference").test_sets if name != work.name
    )
    own = {key: value for key, value in keys.items() if not key.startswith(others)}
    return digest_of({"keys": own, "weights": weights, "data": fingerprint_of(work.dataset)})


def _decode(context: StageContext, works: Sequence[Work], parts: Sequence[Parts], checkpoint: Path) -> None:
    config = context.config("inference")
    executor = config.executor.build(**context.needs())
    shards: list[tuple[int, list[int]]] = []
    for number, work in enumerate(works):
        limits = {"seconds": config.batch.seconds, "size": config.batch.size}
        batches = batches_of(work.left, work.seconds, workers=getattr(executor, "workers", 1), **limits)
        shards.extend((number, [work.offset + index for index in batch]) for batch in batches)
    if not shards:
        return
    amount = sum(_amount(works[number], shard) for number, shard in shards)
    unit = "s of speech" if all(work.seconds for work in works) else "utterances"
    with progress("infer", amount, unit) as advance:
        for index, outcome in executor.run(
            _setup(context, works, checkpoint, executor), [s for _, s in shards]
        ):
            number, shard = shards[index]
            _take(context, works[number], parts[number], shard, outcome)
            advance(_amount(works[number], shard))


def _setup(
    context: StageContext, works: Sequence[Work], checkpoint: Path, executor: Any
) -> Callable[[], Decoder]:
    from espnet3_core.infer.executors import InProcess

    if isinstance(executor, InProcess):
        return lambda: Decoder(context, works, checkpoint)
    return DecoderSetup(ContextReference.of(context), checkpoint)


def _amount(work: Work, shard: Sequence[int]) -> float:
    if work.seconds is None:
        return len(shard)
    return sum(work.seconds[index - work.offset] for index in shard)


def _take(context: StageContext, work: Work, parts: Parts, shard: Sequence[int], outcome: Any) -> None:
    """Keep the records of a finished shard."""
    local = [index - work.offset for index in shard]
    if isinstance(outcome, WorkerLost):
        names = ", ".join(work.ids[index] for index in local[:5])
        message = f"{outcome.reason} while decoding {names}" + (" …" if len(local) > 5 else "")
        if context.config("inference").on_error == "stop":
            raise UserError(
                f"{work.name}: {message}", hint="smaller batches or fewer workers need less memory"
            )
        context.logger.warning("%s: %s", work.name, message)
        outcome = Outcome([{"id": work.ids[index], "error": outcome.reason} for index in local], 0.0)
    records = dict(zip(local, outcome.records, strict=True))
    # Failed utterances are not kept: the next run tries them again.
    parts.add({index: record for index, record in records.items() if "error" not in record})
    work.list_failed(records)
    work.done |= records
    work.spent += outcome.seconds
    work.audio += sum(record.get("duration", 0.0) for record in records.values())


def _finish(
    context: StageContext, works: Sequence[Work], checkpoint: Path, identity: str, wall: float
) -> None:
    config = context.config("inference")
    training = training_behind(context.experiment, checkpoint)
    if warning := too_few(training):
        context.logger.warning("%s: %s", checkpoint.name, warning)
    for work in works:
        records = [work.done[index] for index in range(len(work.ids))]
        directory = context.inference_directory / work.name
        failed = [record["id"] for record in records if "error" in record]
        summary = {
            "test_set": work.name,
            "utterances": len(records),
            "failed": len(failed),
            "duration": round(sum(record.get("duration", 0.0) for record in records), 3),
            "checkpoint": str(checkpoint),
            "decoded_seconds": round(work.audio, 3),
            "decoding_seconds": round(work.spent, 3),
            "rtf": round(work.spent / work.audio, 5) if work.audio else None,
            "precision": config.precision,
            "data": fingerprint_of(work.dataset),
            "weights": identity,
            "training": training,
        }
        write_results(directory, records)
        atomic_write_json(directory / SUMMARY, summary)
        context.note(**{work.name: summary})
        context.logger.info("%s", _line(work, summary))
    if again := sum(len(work.to_try_again) for work in works):
        context.note(**{UNFINISHED: f"{again} utterances failed and are tried again"})
    context.note(checkpoint=str(checkpoint), seconds=round(wall, 3))


def _line(work: Work, summary: dict[str, Any]) -> str:
    text = f"{work.name}: {summary['utterances']} utterances"
    if summary["duration"]:
        text += f", {summary['duration']:.0f} s of speech"
    if summary["rtf"] is not None:
        text += f", RTF {summary['rtf']:.3f}"
    if summary["failed"]:
        text += f", {summary['failed']} FAILED"
    return text
