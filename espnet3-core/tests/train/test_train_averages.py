import json
import shutil

import pytest
import torch
from espnet3_core.config.roles import BestConfig, CheckpointConfig
from espnet3_core.train.checkpoints import resolve_checkpoint
from safetensors import safe_open
from safetensors.torch import load_file
from toy_training import ToyContext, run_toy, toy_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    best = [BestConfig(keep=3), BestConfig(monitor="train/mae", keep=2)]
    config = toy_config(trainer={"max_epochs": 4}, checkpoint=CheckpointConfig(best=best))
    run_toy(ToyContext(folder, config))
    return folder


@pytest.fixture
def experiment(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "exp")


def tables(experiment):
    return json.loads((experiment / "checkpoints/index.json").read_text())["selections"]


def listed(path):
    with safe_open(str(path), "pt") as stream:
        return {key: json.loads(value) for key, value in stream.metadata().items() if key != "monitor"}


def is_mean_of(path, files):
    found = load_file(path)
    sources = [load_file(path.parent / name) for name in files]
    return all(
        torch.equal(value, torch.stack([source[name].double() for source in sources]).mean(0).float())
        for name, value in found.items()
    )


def test_training_lists_sources_and_scores_in_the_file_and_in_the_index(experiment):
    for table in tables(experiment):
        path = experiment / "checkpoints" / table["average"]["file"]
        assert table["average"]["sources"] == table["kept"]
        assert sorted(listed(path)["average_of"], key=lambda kept: kept["value"]) == table["kept"]
        assert is_mean_of(path, [kept["file"] for kept in table["kept"]])


def test_an_average_is_made_again_as_it_was(experiment, run_command):
    path = experiment / "checkpoints/average.safetensors"
    before, index = load_file(path), tables(experiment)
    path.unlink()
    code, out, _ = run_command("average", str(experiment))
    assert code == 0
    assert out.endswith(f"{path}: average of 3 models\n")
    again = load_file(path)
    assert again.keys() == before.keys()
    assert all(torch.equal(again[name], value) for name, value in before.items())
    assert tables(experiment) == index


def test_the_best_two_by_another_value(experiment, run_command):
    code, out, _ = run_command(
        "average", str(experiment / "checkpoints"), "--monitor", "train/mae", "--keep", "1"
    )
    assert code == 0
    table = tables(experiment)[1]
    assert table["average"]["sources"] == table["kept"][:1]
    assert out.splitlines()[0] == f"{table['kept'][0]['file']}  {table['kept'][0]['value']:.5g}"
    path = resolve_checkpoint(experiment, "average:train/mae")
    assert is_mean_of(path, [table["kept"][0]["file"]])


def test_named_models_into_a_file_of_their_own(experiment, run_command):
    before = tables(experiment)
    names = [kept["file"] for kept in before[0]["kept"][:2]]
    output = experiment / "checkpoints/mine.safetensors"
    assert run_command("average", str(experiment), *names, "-o", str(output))[0] == 0
    assert is_mean_of(output, names)
    assert {kept["file"] for kept in listed(output)["average_of"]} == set(names)
    assert tables(experiment) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--monitor", "valid/los"], "did you mean 'valid/loss'"),
        (["--keep", "4"], "3 models are kept by valid/loss, not 4\n  -> training.checkpoint.best.0.keep"),
        (["--keep", "0"], "at least one model is averaged"),
        (["epoch001.safetensors"], "no such model"),
        (["average.safetensors"], "not a model that training selected"),
        (["x", "--keep", "2"], "leave one of the two out"),
    ],
)
def test_mistakes_are_told(experiment, run_command, arguments, message):
    code, _, err = run_command("average", str(experiment), *arguments)
    assert code == 2
    assert message in err


def test_an_untrained_experiment(tmp_path, run_command):
    code, _, err = run_command("average", str(tmp_path))
    assert code == 2
    assert "no models were selected here" in err
