"""Stages create_dataset and train_tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext


def create_dataset(context: StageContext) -> None:
    """Prepare the corpus with the recipe's builder; recipes without one have their data already.

    Raises:
        UserError: The corpus cannot be had, or is not what it should be.
    """
    component = context.config("training").dataset.builder
    if component is None:
        context.logger.info("training.dataset.builder is not set: the data are taken as they are")
        return
    from espnet3_core.data.builder import run_builder

    builder = component.build(**context.needs())
    context.note(built=run_builder(builder))
    context.output(Path(builder.output))


def train_tokenizer(context: StageContext) -> None:
    """Learn the vocabulary from the training texts, which are read without decoding audio, or take it from
    the bundle that the model begins from.

    Raises:
        UserError: There are no texts.
    """
    from espnet3_core.train.initial import initial_of, take_tokenizer

    config = context.config("training")
    if config.tokenizer is None:
        context.logger.info("training.tokenizer is not set: nothing to train")
        return
    tokenizer = config.tokenizer.build(**context.needs())
    count = 0

    def texts() -> Iterator[str]:
        nonlocal count
        for text in training_texts(context):
            count += 1
            yield text

    initial = initial_of(context)
    if initial is not None and initial.keeps_tokenizer:
        tokenizer = take_tokenizer(initial, config.tokenizer, context.needs(), texts())
    else:
        tokenizer.train(texts())
    save_tokenizer(tokenizer, context.experiment.tokenizer)
    context.note(texts=count, tokens=len(tokenizer))
    origin = f"that of {initial.config.source}" if initial and initial.keeps_tokenizer else "new"
    context.logger.info("tokenizer: %d tokens, %s; %d texts were read", len(tokenizer), origin, count)


def training_texts(context: StageContext) -> Iterator[str]:
    """Texts of the training set, after ``training.dataset.preprocess``.

    Raises:
        UserError: An utterance has no text.
    """
    from espnet3_core.data.dataset import PreparedDataset

    config = context.config("training").dataset
    transforms = [component.build(**context.needs()) for component in config.preprocess]
    dataset = PreparedDataset(
        context.build_dataset(config.train), sample_rate=context.sample_rate, preprocess=transforms
    )
    for index in range(len(dataset)):
        item = dataset.describe(index)
        text = item.get("text")
        if not isinstance(text, str):
            if config.on_error != "stop":
                continue
            place = f"{source}: " if (source := dataset.source(index)) else ""
            raise UserError(
                f"{place}utterance {item.get('id', index)!r} has no text to train a tokenizer on",
                hint="give the data a text column, or set training.tokenizer to null",
            )
        yield text


def save_tokenizer(tokenizer: Any, directory: Path) -> None:
    """Save a tokenizer so that its folder is whole or not there: the former one stays until then.

    Raises:
        UserError: The disk is full or read-only.
    """
    import shutil

    from espnet3_core.files import disk_errors, make_directory

    fresh, old = directory.with_name(f".{directory.name}.new"), directory.with_name(f".{directory.name}.old")
    with disk_errors(directory):
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)
        make_directory(fresh)
        tokenizer.save(fresh)
        if directory.exists():
            directory.rename(old)
        fresh.rename(directory)
        shutil.rmtree(old, ignore_errors=True)
