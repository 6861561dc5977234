"""Core's stages, which systems put together: ``SystemSpec(stages=(CREATE_DATASET, TRAIN, …))``.

A system that needs other keys or an order of its own uses :func:`dataclasses.replace` on these records.
"""

from __future__ import annotations

from espnet3_core.specs import StageSpec

LAST_BY_DEFAULT = "measure"
"""Without ``--stages``, a run goes through this stage."""

_LOADING = ("training.batch.workers", "training.batch.threads", "training.batch.pin_memory")
_AUGMENTATION = ("training.dataset.transforms", "training.dataset.builder")
_BAD_DATA = ("training.dataset.on_error", "training.dataset.max_errors")
_HARDWARE = tuple(
    f"training.trainer.{key}"
    for key in (
        "accelerator", "devices", "num_nodes", "strategy", "benchmark", "detect_anomaly",
        "logger", "log_every_n_steps", "enable_progress_bar", "enable_model_summary", "profiler",
        "default_root_dir", "num_sanity_val_steps", "barebones", "plugins",
    )
)  # fmt: skip
_HOW_LONG = tuple(
    f"training.trainer.{key}" for key in ("max_epochs", "min_epochs", "max_steps", "min_steps", "max_time")
)

CONTINUED_BY = _HOW_LONG
"""Neutral keys that, when raised, make a finished training go on."""

CREATE_DATASET = StageSpec(
    name="create_dataset",
    run="espnet3_core.data.stage:create_dataset",
    roles=("training",),
    inputs=("training.dataset.builder",),
    summary="fetch and prepare the corpus",
)

TRAIN_TOKENIZER = StageSpec(
    name="train_tokenizer",
    run="espnet3_core.data.stage:train_tokenizer",
    roles=("training",),
    inputs=(
        "training.tokenizer", "training.dataset.train", "training.dataset.preprocess",
        "training.model.init_from",
    ),
    after=("create_dataset",),
    outputs=("tokenizer",),
    summary="learn the vocabulary from the training texts",
)  # fmt: skip

COLLECT_STATS = StageSpec(
    name="collect_stats",
    run="espnet3_core.train.statistics:collect_stats",
    roles=("training",),
    inputs=("training.dataset", "training.tokenizer", "training.model", "training.collator"),
    neutral=(*_AUGMENTATION, *_BAD_DATA),
    after=("create_dataset", "train_tokenizer"),
    outputs=("stats",),
    summary="measure lengths and feature statistics",
)

TRAIN = StageSpec(
    name="train",
    run="espnet3_core.train.stage:train",
    roles=("training",),
    inputs=(
        "training.seed", "training.dataset", "training.tokenizer", "training.model", "training.optimizer",
        "training.scheduler", "training.optimizers", "training.parameters", "training.batch",
        "training.collator", "training.callbacks", "training.module",
        "training.trainer_class", "training.trainer",
    ),
    neutral=("training.dataset.builder", *_BAD_DATA, *_LOADING, *_HARDWARE, *_HOW_LONG),
    ordered=("training.optimizers",),
    after=("create_dataset", "train_tokenizer", "collect_stats"),
    outputs=("checkpoints",),
    on_stale="refuse",
    distributed=True,
    summary="train the model",
)  # fmt: skip

INFER = StageSpec(
    name="infer",
    run="espnet3_core.infer.stage:infer",
    roles=("training", "inference"),
    inputs=("inference",),
    neutral=(
        "inference.batch", "inference.executor", "inference.device",
        "inference.on_error", "inference.max_errors",
    ),
    after=("train_tokenizer", "train"),
    outputs=("{inference}/*/results.jsonl",),
    summary="decode the test sets",
)  # fmt: skip

MEASURE = StageSpec(
    name="measure",
    run="espnet3_core.measure.stage:measure",
    when_skipped="espnet3_core.measure.stage:show_scores",
    roles=("training", "inference", "metrics"),
    inputs=("metrics", "inference.test_sets"),
    after=("infer",),
    outputs=("{inference}/metrics.json",),
    summary="score the results",
)

PACK_MODEL = StageSpec(
    name="pack_model",
    run="espnet3_core.bundle.stage:pack_model",
    roles=("training", "inference", "publication"),
    inputs=("publication", "inference.checkpoint", "inference.search", "inference.batch"),
    neutral=("publication.upload", "publication.dry_run"),
    after=("train_tokenizer", "train", "measure"),
    outputs=("bundle/manifest.json",),
    summary="put model, tokenizer and configuration into one folder",
)

UPLOAD_MODEL = StageSpec(
    name="upload_model",
    run="espnet3_core.bundle.stage:upload_model",
    roles=("publication",),
    inputs=("publication.upload", "publication.dry_run"),
    after=("pack_model",),
    explicit=True,
    summary="publish the bundle",
)

PACK_DEMO = StageSpec(
    name="pack_demo",
    run="espnet3_core.bundle.demo:pack_demo",
    roles=("demo",),
    inputs=("demo",),
    neutral=("demo.upload",),
    after=("pack_model",),
    outputs=("demo/README.md",),
    explicit=True,
    summary="put a page to try the model, and the bundle, into one folder",
)

UPLOAD_DEMO = StageSpec(
    name="upload_demo",
    run="espnet3_core.bundle.demo:upload_demo",
    roles=("demo",),
    inputs=("demo.upload", "demo.dry_run"),
    after=("pack_demo",),
    explicit=True,
    summary="publish the page",
)
