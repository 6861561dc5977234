"""The datasets of a training configuration, ready for a loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from espnet3_core.data.bad_data import BAD_DATA, BadData, broken_lines
from espnet3_core.data.dataset import PreparedDataset

if TYPE_CHECKING:
    from espnet3_core.component import Component
    from espnet3_core.recipe.context import StageContext


def prepared(
    context: StageContext, component: Component, tokenizer: Any, *, training: bool
) -> PreparedDataset:
    """A dataset of the training configuration with its preprocessing and, in training, its augmentation.

    Raises:
        UserError: Files are missing or broken.
    """
    config = context.config("training")
    needs = context.needs()
    transforms = config.dataset.transforms if training else []
    return PreparedDataset(
        context.build_dataset(component),
        sample_rate=config.dataset.sample_rate,
        preprocess=[part.build(**needs) for part in config.dataset.preprocess],
        transforms=[part.build(**needs) for part in transforms],
        tokenizer=tokenizer,
        seed=config.seed,
        training=training,
    )


def bad_data(context: StageContext, split: str, dataset: PreparedDataset, *, anew: bool) -> BadData:
    """The list of a training or validation set's bad utterances, with the broken lines of its manifest.

    Args:
        context: Of the stage.
        split: ``train`` or ``valid``.
        dataset: The data set.
        anew: Whether reading begins, and is not continued.

    Raises:
        UserError: There are too many.
    """
    config = context.config("training").dataset
    found = BadData(
        config.on_error,
        config.max_errors,
        count=len(dataset),
        file=context.experiment.directory / BAD_DATA / f"{split}.jsonl",
        name=f"dataset.{split}",
        key="training.dataset.on_error",
    )
    if anew:
        found.start_anew(write=context.rank == 0)
    found.report(broken_lines(dataset.dataset))
    return found
