from __future__ import annotations

import json
from pathlib import Path

import pytest
from espnet3_core.data.stage import save_tokenizer
from espnet3_core.errors import UserError
from espnet3_core.recipe.run import run

SYSTEM = """
    from espnet3_core.recipe.stages import CREATE_DATASET, TRAIN_TOKENIZER
    from espnet3_core.specs import SystemSpec

    SYSTEM = SystemSpec(name="recipe/toy", stages=(CREATE_DATASET, TRAIN_TOKENIZER))
"""
BUILDER = """
    from pathlib import Path
    from espnet3_core.data.builder import DatasetBuilder

    class Builder(DatasetBuilder):
        def __init__(self, words, recipe_dir):
            self.words = words
            self.output = Path(recipe_dir) / "data/made"

        def settings(self):
            return {"words": self.words}

        def is_source_prepared(self):
            return True

        def prepare_source(self):
            raise AssertionError

        def build(self):
            with self.building() as folder:
                lines = [f"u{number}\\t{word}" for number, word in enumerate(self.words)]
                (folder / "train.tsv").write_text("\\n".join(["id\\ttext", *lines]) + "\\n")
"""
TOKENIZER = """
    class Words:
        def __init__(self):
            self.tokens = []

        def __len__(self):
            return len(self.tokens)

        def train(self, texts):
            self.tokens = sorted({word for text in texts for word in text.split()})

        def save(self, directory):
            (directory / "tokens.txt").write_text(" ".join(self.tokens))
"""
DATA = """
    class Made:
        def __init__(self, recipe_dir):
            lines = (recipe_dir / "data/made/train.tsv").read_text().splitlines()[1:]
            self.rows = [line.split("\\t") for line in lines]

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            raise AssertionError("no audio is needed for texts")

        def describe(self, index):
            name, text = self.rows[index]
            return {"id": name, "text": text} if text else {"id": name}

        def fingerprint(self):
            return str(self.rows)
"""
TRAINING = """
    dataset:
      builder: {_target_: dataset.builder.Builder, words: [one two, two three]}
      train: {_target_: src.data.Made}
      preprocess: [{name: core/text_case, case: upper}]
    tokenizer: {_target_: src.tokenizer.Words}
    model: {_target_: src.model.Model}
"""


@pytest.fixture
def recipe(make_recipe):
    return make_recipe(
        src__system_dot_py=SYSTEM,
        src__tokenizer_dot_py=TOKENIZER,
        src__data_dot_py=DATA,
        dataset__builder_dot_py=BUILDER,
        conf__training_dot_yaml=TRAINING,
    )


def test_the_corpus_is_built_and_the_tokenizer_learns_its_texts(recipe):
    assert run(recipe).ran == ("create_dataset", "train_tokenizer")
    assert (recipe / "exp/training/tokenizer/tokens.txt").read_text() == "ONE THREE TWO"
    kept = json.loads((recipe / "exp/training/stages/train_tokenizer.json").read_text())
    assert kept["facts"] == {"texts": 2, "tokens": 3}
    assert run(recipe).ran == ()


def test_other_settings_of_the_builder_change_the_tokenizer(recipe):
    run(recipe)
    result = run(recipe, overrides=["training.dataset.builder.words=[four]"])
    assert result.ran == ("create_dataset", "train_tokenizer")
    assert (recipe / "exp/training/tokenizer/tokens.txt").read_text() == "FOUR"
    assert "training.dataset.train: its content was changed" in result.stages[1].why


def test_a_corpus_that_is_gone_is_built_again(recipe):
    run(recipe)
    for file in sorted((recipe / "data/made").rglob("*"), reverse=True):
        file.unlink()
    (recipe / "data/made").rmdir()
    # The same texts come out, so that the tokenizer holds.
    assert run(recipe).ran == ("create_dataset",)


def test_an_utterance_without_text_is_named(recipe):
    with pytest.raises(UserError, match="utterance 'u1' has no text to train a tokenizer on"):
        run(recipe, overrides=["training.dataset.builder.words=[a,'']"])


def test_a_tokenizer_is_replaced_as_a_whole(tmp_path):
    class Half:
        def save(self, directory: Path) -> None:
            (directory / "tokens.txt").write_text("half")
            raise OSError(28, "No space left on device")

    class Whole:
        def save(self, directory: Path) -> None:
            (directory / "tokens.txt").write_text("whole")

    target = tmp_path / "exp" / "tokenizer"
    save_tokenizer(Whole(), target)
    with pytest.raises(UserError, match="the disk is full"):
        save_tokenizer(Half(), target)
    assert (target / "tokens.txt").read_text() == "whole"
    save_tokenizer(Whole(), target)
    assert [path.name for path in target.parent.iterdir()] == ["tokenizer"]
