"""Stage ``train``: fits a model, from the beginning or from where training stopped."""

from __future__ import annotations

import inspect
import logging
import math
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from espnet3_core.component import Component
from espnet3_core.config.roles import TrainingConfig
from espnet3_core.errors import UserError
from espnet3_core.files import remove_leftovers
from espnet3_core.memory import keep_freed_memory
from espnet3_core.train.imports import without_collector
from espnet3_core.train.position import Position
from espnet3_core.train.reproducibility import only_deterministic
from espnet3_core.train.resume import Resume, find_resume, is_finished, last_of, limits_of

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext
    from espnet3_core.train.initial import Report

DEFAULT_EPOCHS = 100
"""When neither ``trainer.max_epochs`` nor ``trainer.max_steps`` is set."""


def train(context: StageContext) -> None:
    """Train, continue an interrupted training, or say that it is finished.

    Raises:
        UserError: Something in the configuration or the data is wrong.
        Interrupted: A signal came; everything is saved.
    """
    config: TrainingConfig = context.config("training")
    check_monitors(config)
    arguments = trainer_arguments(config)
    resume = find_resume(context.experiment.checkpoints)
    if resume is not None and is_finished(resume, arguments):
        context.logger.info(
            "training is finished (%s); raise training.trainer.max_epochs to go on", resume.position.words
        )
        if context.rank == 0:
            _finish(context, config, resume)
        return
    with without_collector():
        from espnet3_core.train.data import TrainingData
        from espnet3_core.train.randomness import seed_everything

        data = TrainingData(context, resume)
        resume = data.resume
        seed_everything(config.seed, "model")
        module = build_module(context, config, data.tokenizer, fresh=resume is None)
        trainer = build_trainer(context, config, arguments, resume)
        if config.batch.auto:
            from espnet3_core.train.probe import found_batch

            data.limit(found_batch(context, module, trainer, data, resumed=resume is not None))
    run(context, trainer, module, data, data.resume)


def run(context: StageContext, trainer: Any, module: Any, data: Any, resume: Resume | None) -> None:
    """Run Lightning's trainer, from ``resume`` if there is one.

    Args:
        context: Of the stage.
        trainer: From :func:`build_trainer`.
        module: A :class:`espnet3_core.train.module.TrainingModule`.
        data: A ``LightningDataModule``.
        resume: Where to go on.
    """
    start: dict[str, Any] = {}
    if resume is not None:
        resume.check_model(module)
        context.logger.info("continuing from %s (%s)", resume.path.name, resume.position.words)
        if resume.start(trainer.world_size) != resume.position:
            context.logger.warning(
                "the batches are others than before: epoch %d is begun again, with the weights as they are",
                resume.position.epoch,
            )
        start["ckpt_path"] = str(resume.path)
        if "weights_only" in inspect.signature(trainer.fit).parameters:
            start["weights_only"] = False  # our own file, with whatever state a recipe's callbacks keep
    if trainer.strategy.root_device.type == "cpu":
        keep_freed_memory()
    with only_deterministic():
        trainer.fit(module, datamodule=data, **start)
    if trainer.is_global_zero:
        _note_circumstances(context, trainer)
        _note_results(context, trainer.current_epoch, trainer.global_step)


def trainer_arguments(config: TrainingConfig) -> dict[str, Any]:
    """The arguments of ``lightning.Trainer`` with what they are when left out."""
    arguments = dict(config.trainer)
    if (
        arguments.get("max_epochs") is None
        and arguments.get("max_steps", -1) == -1
        and not arguments.get("max_time")
    ):
        arguments["max_epochs"] = DEFAULT_EPOCHS
    return arguments


def build_module(context: StageContext, config: TrainingConfig, tokenizer: Any, *, fresh: bool) -> Any:
    """The training module around the model; ``model.init_from`` is loaded when training begins."""
    from espnet3_core.train.statistics import load_statistics, require_statistics

    statistics = load_statistics(context)
    model = context.build_model(stats=statistics, tokenizer=tokenizer)
    if fresh and (config.model.init_from is None or _begin_from(context, model, statistics, tokenizer).new):
        require_statistics(model, statistics)
    kind = module_class(config)
    if config.module is None:
        return kind(model, config)
    module = config.module.build(model=model, training=config)
    if not isinstance(module, kind):
        raise UserError(
            f"training.module: {type(module).__name__} is not {'an' if config.optimizers else 'a'} "
            f"{kind.__name__}",
            hint=f"derive it from {kind.__module__}.{kind.__name__}",
        )
    return module


def _begin_from(context: StageContext, model: Any, statistics: Any, tokenizer: Any) -> Report:
    """Load what ``model.init_from`` names, and tell what became of each weight."""
    import torch

    from espnet3_core.train.initial import initial_of, load_initial

    initial = initial_of(context)
    assert initial is not None

    def build(tokens: int) -> Any:
        with torch.random.fork_rng(devices=[]):
            return context.build_model(stats=statistics, tokenizer=tokenizer, vocab_size=tokens)

    report = load_initial(initial, model, tokenizer, build)
    context.logger.info("weights from %s: %s", initial.config.source, report)
    context.note(weights_from=initial.config.source, weights=asdict(report))
    return report


def module_class(config: TrainingConfig) -> Any:
    """The training module for one optimizer, or for several."""
    if config.optimizers:
        from espnet3_core.train.alternating import AlternatingModule

        return AlternatingModule
    from espnet3_core.train.module import TrainingModule

    return TrainingModule


def build_trainer(
    context: StageContext, config: TrainingConfig, arguments: dict[str, Any], resume: Resume | None
) -> Any:
    """The trainer with core's callbacks, the recipe's own, and its loggers."""
    from espnet3_core.train.checkpointing import Checkpointing
    from espnet3_core.train.determinism import Determinism
    from espnet3_core.train.journal import Journal
    from espnet3_core.train.meter import Meter
    from espnet3_core.train.progress import TrainingProgress
    from espnet3_core.train.summary import Banner
    from espnet3_core.train.synchronization import LayerSync
    from espnet3_core.train.watchdog import Watchdog

    _quieten()
    arguments = {
        key: instantiate(value, f"training.trainer.{key}", context) for key, value in arguments.items()
    }
    progress, meter = TrainingProgress(), Meter()
    journal = Journal(context.experiment.metrics, (progress.report,), meter)
    saving = Checkpointing(context.experiment.checkpoints, config.checkpoint, limits_of(arguments), resume)
    if context.rank == 0:
        journal.continue_from(Position() if resume is None else resume.position)
    theirs = [component.build(**context.needs()) for component in config.callbacks]
    if resume is None and config.model.init_from is not None:
        from espnet3_core.train.first_score import FirstScore

        theirs.append(FirstScore(context))
    bar = [progress] if arguments.pop("enable_progress_bar", True) else []
    arguments["callbacks"] = [
        Watchdog(context.experiment.ranks, context.experiment.log(context.stage.name), config.watchdog),
        Determinism(config.seed, resume),
        Banner(context.logger, meter),
        journal,
        *theirs,
        *_as_list(arguments.pop("callbacks", None)),
        *bar,
        saving,
    ]
    arguments["logger"] = _loggers(context, config, arguments.get("logger"))
    if arguments.pop("sync_batchnorm", False):
        arguments["plugins"] = [*_as_list(arguments.get("plugins")), LayerSync()]
    arguments.setdefault("default_root_dir", str(context.experiment.directory))
    arguments.setdefault("enable_model_summary", False)
    arguments.update(use_distributed_sampler=False, enable_progress_bar=bool(bar))
    if resume is not None:
        arguments["num_sanity_val_steps"] = 0
    elif config.model.init_from is not None:
        arguments.setdefault("num_sanity_val_steps", -1)
    return _make_trainer(_trainer_class(config), arguments)


def _make_trainer(kind: Any, arguments: dict[str, Any]) -> Any:
    """A trainer; what Lightning does not accept is the user's to mend."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    try:
        return kind(**arguments)
    except (MisconfigurationException, TypeError, ValueError, ModuleNotFoundError) as error:
        raise UserError(
            f"training.trainer: {error}", hint="see the arguments of lightning.Trainer"
        ) from error


def check_monitors(config: TrainingConfig) -> None:
    """Whether the values that select checkpoints can come to be at all.

    Raises:
        UserError: One cannot.
    """
    for index, best in enumerate(config.checkpoint.best):
        place = f"training.checkpoint.best.{index}.monitor: {best.monitor!r}"
        if not best.monitor.startswith(("train/", "valid/")):
            raise UserError(
                f"{place}: values are logged as train/<name> and valid/<name>",
                hint=f"did you mean 'valid/{best.monitor.rpartition('/')[2]}'?",
            )
        if best.monitor.startswith("valid/") and config.dataset.valid is None:
            raise UserError(
                f"{place}: there is no validation set",
                hint="set training.dataset.valid, or monitor train/loss",
            )


def _trainer_class(config: TrainingConfig) -> Any:
    from lightning.pytorch import Trainer

    if config.trainer_class is None:
        return Trainer
    from espnet3_core.build import locate

    found = locate(config.trainer_class, "training.trainer_class")
    if not (isinstance(found, type) and issubclass(found, Trainer)):
        raise UserError(
            f"training.trainer_class: {config.trainer_class} is not a lightning Trainer",
            hint="derive it from lightning.pytorch.Trainer",
        )
    return found


def _loggers(context: StageContext, config: TrainingConfig, extra: Any) -> Any:
    """Loggers by name and those of ``trainer.logger``; False when there are none."""
    named = [component.build(**context.needs()) for component in config.loggers]
    if extra is True:
        if named:
            raise UserError(
                "training.trainer.logger: true asks for Lightning's own, and training.loggers has others",
                hint="remove one of the two",
            )
        return True
    return [*named, *_as_list(extra or None)] or False


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def instantiate(value: Any, path: str, context: StageContext) -> Any:
    """Objects in place of nodes with ``_target_`` (loggers, callbacks, strategies, profilers, plugins)."""
    if isinstance(value, dict) and "_target_" in value:
        return Component.from_node(value, path=path).build(**context.needs())
    if isinstance(value, (list, tuple)):
        return [instantiate(item, f"{path}.{index}", context) for index, item in enumerate(value)]
    return value


def _quieten() -> None:
    """Leave out what Lightning says about things that are settled here."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",
        r".*smaller than the logging interval.*",
        r".*Checkpoint directory .* exists and is not empty.*",
        r".*recommended to use `self.log\(.*sync_dist=True.*",
        r".*Found .* module\(s\) in eval mode.*",
        r".*Total length of `list` across ranks is zero.*",
        r".*The `srun` command is available.*",
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
        r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step.*",  # it waits for its round
    ):
        warnings.filterwarnings("ignore", message=message)


def _finish(context: StageContext, config: TrainingConfig, resume: Resume) -> None:
    """Do what a process left undone that was killed after the last checkpoint of a training."""
    from espnet3_core.train.best import BestModels

    best = BestModels(context.experiment.checkpoints, config.checkpoint.best)
    best.restore(resume.state)
    best.saved(last_of(resume.position))
    remove_leftovers(context.experiment.checkpoints)
    _note_results(context, resume.position.epoch, resume.position.step)


def _note_circumstances(context: StageContext, trainer: Any) -> None:
    from espnet3_core.train.provenance import EFFECTIVE_BATCH, effective_batch, late_warmup

    context.note(**{EFFECTIVE_BATCH: effective_batch(trainer)})
    if warning := late_warmup(trainer):
        context.logger.warning("%s", warning)


def _note_results(context: StageContext, epochs: int, steps: int) -> None:
    from espnet3_core.train.checkpoints import read_index

    facts: dict[str, Any] = {"epochs": epochs, "steps": steps}
    for table in read_index(context.experiment.checkpoints).get("selections", []):
        if table["kept"] and math.isfinite(table["kept"][0]["value"]):
            best = table["kept"][0]
            facts[f"best {table['monitor']}"] = best["value"]
            context.logger.info("best %s %.5g: %s", table["monitor"], best["value"], best["file"])
    context.note(**facts)
