"""From a real run to ``espnet3 compare``: what stands beside the numbers, and what is warned of."""

import json

import pytest


@pytest.fixture(scope="module")
def beam(trained, tmp_path_factory):
    """The trained recipe with its results once more, by another search and under another name."""
    import shutil
    from pathlib import Path

    copy = type(trained)(Path(shutil.copytree(trained.directory, tmp_path_factory.mktemp("beam") / "digits")))
    conf = copy.directory / "conf"
    text = (
        (conf / "inference_sample.yaml").read_text("utf-8").replace("asr/ctc_greedy", "asr/ctc_prefix_beam")
    )
    (conf / "beam.yaml").write_text(text, "utf-8")
    done = copy.espnet3(
        "run", "--training", "training_sample", "--inference", "beam", "--stages", "infer", "measure",
        "training.model.encoder.hidden_size=8", "training.trainer.max_epochs=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return copy


def scores(recipe, inference):
    path = recipe.directory / "exp/training_sample" / inference / "metrics.json"
    return json.loads(path.read_text("utf-8"))["wer"]["test"]


def test_what_stands_beside_the_numbers(trained):
    found = scores(trained, "inference_sample")
    assert found["version"]
    assert found["ratio"]["by"] == "recordings"
    origin = found["provenance"]
    assert origin["scorer"].startswith("espnet3-asr ")
    assert len(origin["data"]) == 64
    # One epoch of twelve utterances in batches of eight: two updates, one model of the three asked for.
    batch = {"processes": 1, "accumulated": 1, "utterances": 6.0}
    training = origin["training"]
    assert training["effective_batch"].pop("seconds") > 0
    assert training == {"updates": 2, "averaged": 1, "wanted": 3, "effective_batch": batch}
    assert origin["seen_in_training"] == 0


def test_a_warmup_and_an_average_that_were_too_long_are_told(trained):
    logs = trained.directory / "exp/training_sample/logs"
    train, infer = ((logs / f"{name}.log").read_text("utf-8") for name in ("train", "infer"))
    assert "the warm-up lasts 100 steps and training 2" in train
    assert "training ended after 2 updates, within the warm-up of 100" in train
    assert "average over 1 models, and training.checkpoint.best asks for 3" in infer


def test_two_searches_compared(beam):
    folder = beam.directory / "exp/training_sample"
    both = [str(folder / name) for name in ("inference_sample", "beam")]
    done = beam.espnet3("compare", *both, "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    first, second = (scores(beam, name)["wer"] for name in ("inference_sample", "beam"))
    assert (row["first"], row["second"]) == (first, second)
    assert row["difference"] == pytest.approx(second - first)
    low, high = row["interval"]
    assert low <= row["difference"] <= high
    assert row["drawn"] == "4 x recordings"
    assert "2 updates, 6 utterances each" in beam.espnet3("compare", *both).stdout


def test_the_test_set_put_into_training_is_told(trained_copy):
    """A copy of a test recording, under another name and id, joins the training set."""
    line = trained_copy.line_of("test")
    fields = trained_copy.rows()[line - 1].split("\t")
    copied = trained_copy.audio(line).with_name("copy.flac")
    copied.write_bytes(trained_copy.audio(line).read_bytes())
    path = str(copied.relative_to(trained_copy.manifest.parent))
    trained_copy.write([*trained_copy.rows(), "\t".join(["copy", path, *fields[2:-1], "train"])])
    done = trained_copy.run("--stages", "infer", "measure")
    assert done.returncode == 0, done.stderr
    said = f"the audio of 1 utterances is in the training set, too: {fields[0]} (in training: copy)"
    assert said in done.stderr + done.stdout
    assert scores(trained_copy, "inference_sample")["provenance"]["seen_in_training"] == 1
