"""The datasets of a training configuration, ready for a loader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
