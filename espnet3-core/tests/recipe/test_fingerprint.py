from __future__ import annotations

import json

from espnet3_core.recipe.fingerprint import (
    changes,
    code_parts,
    config_parts,
    digest_of,
    file_part,
    file_parts,
    is_below,
    order_parts,
    outputs_digest,
)
from espnet3_core.recipe.stages import TRAIN
from espnet3_core.specs import StageSpec

STAGE = StageSpec(name="s", run="src.stages:go", roles=("training",))


def test_only_inputs_count_and_neutral_keys_do_not():
    nodes = {
        "training": {
            "seed": 1,
            "model": {"name": "asr/ctc", "layers": [1, 2], "blocks": [{"size": 3}]},
            "batch": {"seconds": 60, "workers": 4},
            "trainer": {"max_epochs": 3, "precision": "bf16", "devices": 2},
            "loggers": [{"name": "core/wandb"}],
        }
    }
    assert config_parts(TRAIN, nodes) == {
        "training.seed": 1,
        "training.model.name": "asr/ctc",
        "training.model.layers": [1, 2],
        "training.model.blocks[0].size": 3,
        "training.batch.seconds": 60,
        "training.trainer.precision": "bf16",
    }


def test_the_order_of_named_optimizers_counts():
    sides = {"generator": {"accumulate": 1}, "discriminator": {"accumulate": 2}}
    turned = dict(reversed(sides.items()))
    first, second = (config_parts(TRAIN, {"training": {"optimizers": each}}) for each in (sides, turned))
    assert changes(first, second) == [
        "the order of training.optimizers: generator, discriminator -> discriminator, generator"
    ]
    assert digest_of(first) != digest_of(second)
    older = json.loads(json.dumps({key: first[key] for key in first if not key.startswith("order.")}))
    assert order_parts(TRAIN, older) | older == first  # a record from before this was written down
    alone = config_parts(TRAIN, {"training": {"optimizers": {"all": {"accumulate": 1}}}})
    assert list(alone) == ["training.optimizers.all.accumulate"]


def test_keys_below():
    assert is_below("training.model.name", ("training.model",))
    assert is_below("training.model[0].name", ("training.model",))
    assert is_below("inference.test_sets.a.path", ("inference.*.path",))
    assert not is_below("training.modeling", ("training.model",))


def test_named_files_count_by_their_bytes(tmp_path):
    (tmp_path / "data.tsv").write_text("a")
    parts = {"training.path": "data.tsv", "training.also": ["gone.tsv", "data.tsv"], "training.number": 3}
    first = file_parts(parts, tmp_path)
    assert list(first) == ["file.data.tsv"]
    (tmp_path / "data.tsv").write_text("b")
    assert file_parts(parts, tmp_path) != first


def test_large_files_are_sampled_and_their_ends_count(tmp_path, monkeypatch):
    monkeypatch.setattr("espnet3_core.recipe.fingerprint._WHOLE_FILE", 2**20)
    file = tmp_path / "large"
    content = bytearray(3 * 2**20)
    file.write_bytes(content)
    before = file_part(file)
    content[-1] = 1
    file.write_bytes(content)
    assert file_part(file) != before


def test_only_code_that_the_stage_reaches_counts(tmp_path):
    for name, text in {
        "src/__init__.py": "",
        "src/model.py": "from src.layers import Layer\nfrom . import helpers\nimport torch\n",
        "src/layers.py": "from .deep.norm import Norm\n",
        "src/deep/norm.py": "",
        "src/helpers.py": "def broken(:\n",
        "src/metric.py": "",
        "dataset/builder.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = code_parts({"training.model._target_": "src.model.Model"}, STAGE, tmp_path)
    names = [key.removeprefix("code.src/") for key in found]
    assert names == ["__init__.py", "deep/norm.py", "helpers.py", "layers.py", "model.py"]
    elsewhere = StageSpec(name="s", run="espnet3_core.infer.stage:infer", roles=("training",))
    found = code_parts({"training.dataset.builder._target_": "dataset.builder.Builder"}, elsewhere, tmp_path)
    assert list(found) == ["code.dataset/builder.py"]
    (tmp_path / "src/stages.py").write_text("")
    (tmp_path / "src/plugin.py").write_text("from src.metric import wer\n")
    assert list(code_parts({}, STAGE, tmp_path)) == [
        "code.src/__init__.py", "code.src/metric.py", "code.src/plugin.py", "code.src/stages.py"
    ]  # fmt: skip


def test_changes_are_told_key_by_key():
    old = {
        "training.seed": 1,
        "training.gone": "x",
        "after.train": "a",
        "code.src/model.py": "a",
        "training.path": "a",
        "file.a": "1",
    }
    new = {
        "training.seed": 2,
        "training.path": "a",
        "training.added": [1],
        "after.train": "b",
        "code.src/model.py": "b",
    }
    assert changes(old, new) == [
        "training.seed: 1 -> 2",
        "training.added: (not set) -> [1]",
        "stage train has new outputs",
        "src/model.py was changed",
        'training.gone: "x" -> (not set)',
        "a cannot be read any more",
    ]
    assert changes(old, dict(old)) == []
    assert changes({"after.train": "a"}, {"after.train": None}) == ["stage train is not finished"]
    other = {"training.path": "b", "file.b": "2"}
    assert changes({"training.path": "a", "file.a": "1"}, other) == ['training.path: "a" -> "b"']


def test_outputs_are_digested_by_name_and_content(tmp_path):
    assert outputs_digest([], tmp_path) is None
    (tmp_path / "a").write_text("1")
    first = outputs_digest([tmp_path / "a"], tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/c").write_text("1")
    assert outputs_digest([tmp_path / "a", tmp_path / "b"], tmp_path) != first
    assert outputs_digest([tmp_path / "a"], tmp_path) == first


def test_digests_do_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
