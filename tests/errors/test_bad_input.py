"""Every mistake of a user: the message names the place and the mend, the exit code is 2, no traceback."""

import os
import subprocess
import time
from pathlib import Path

import pytest


def test_misspelt_stage_in_under_a_second(small_recipe, message):
    start = time.perf_counter()
    said = message(small_recipe.run("--stages", "tran"))
    seconds = time.perf_counter() - start
    assert "has no stage 'tran'" in said
    assert "did you mean 'train'?" in said
    assert seconds < 1.0 or min(_timed(small_recipe) for _ in range(3)) < 1.0


def _timed(recipe):
    start = time.perf_counter()
    recipe.run("--stages", "tran")
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["training.modle.encoder.hidden_size=3"], ["command line: training.modle", "did you mean 'model'?"]),
        (["trainng.seed=3"], ["no role 'trainng'", "did you mean 'training'?"]),
        (["training.model.encoder.num_layer=3"], ["encoder.num_layer", "did you mean 'num_layers'?"]),
        (["training.seed=often"], ["training.seed", "expected int", "'often'"]),
        (["training.model.name=asr/ctx"], ["training.model.name", "did you mean asr/ctc?"]),
        (["training.model.encoder.name=zip/former"], ["no plugin 'zip'", "pip install espnet3-zip"]),
        (["training.trainer.max_epoch=3"], ["training.trainer.max_epoch", "did you mean 'max_epochs'?"]),
        (["training.seed"], ["training.seed", "not a recipe"]),
        (["training.seed=[1"], ["training.seed=[1"]),
        (["--training", "trainig_sample"], ["trainig_sample.yaml", "training_sample"]),
        (["--form", "train"], ["--form", "did you mean '--from'?"]),
    ],
)
def test_misspelt_keys_names_and_overrides(small_recipe, message, arguments, expected):
    said = message(small_recipe.run("--dry-run", *arguments))
    for text in expected:
        assert text in said


def test_several_mistakes_in_files_are_told_at_once_with_their_lines(small_recipe, message):
    training = small_recipe.directory / "conf/training_sample.yaml"
    text = training.read_text("utf-8")
    for old, new in [
        ("max_epochs:", "max_epoch:"),
        ("hidden_size: 96", "hidden_size: many"),
        ("name: asr/word", "name: asr/wordd"),
        ("norm_vars:", "norm_var:"),
        ("sample_rate:", "sample_rat:"),
    ]:
        assert old in text
        text = text.replace(old, new)
    training.write_text(text, "utf-8")
    start = time.perf_counter()
    done = small_recipe.espnet3("check", ".", "--training", "training_sample")
    seconds = time.perf_counter() - start
    told = message(done) + done.stdout
    lines = {line: number for number, line in enumerate(text.splitlines(), 1)}
    for fragment in ("max_epoch:", "hidden_size: many", "name: asr/wordd", "norm_var:", "sample_rat:"):
        number = next(number for line, number in lines.items() if fragment in line)
        assert f"training_sample.yaml:{number}" in told, fragment
    for hint in ("max_epochs", "expected int", "asr/word", "norm_vars", "sample_rate"):
        assert hint in told
    assert seconds < 3.0


def test_missing_configuration(small_recipe, message):
    (small_recipe.directory / "conf/inference_sample.yaml").unlink()
    said = message(small_recipe.run("--dry-run"))
    assert "conf/inference_sample.yaml" in said
    assert "inference_unseen" in said


def test_a_recipe_run_from_a_wrong_folder(small_recipe, message):
    said = message(small_recipe.espnet3("run", "conf"))
    assert "conf is a folder inside the recipe" in said
    assert str(small_recipe.directory) in said
    (small_recipe.directory / "recipe.yaml").rename(small_recipe.directory / "other.yaml")
    said = message(small_recipe.espnet3("run"))
    assert "is not a recipe" in said
    assert "recipe.yaml" in said


def test_a_missing_audio_file(small_recipe, message):
    line = small_recipe.line_of("train")
    small_recipe.audio(line).unlink()
    said = message(small_recipe.run("--to", "train"))
    assert f"manifest.tsv:{line}" in said
    assert small_recipe.audio(line).name in said


def test_a_corrupt_audio_file(small_recipe, message):
    line = small_recipe.line_of("train")
    small_recipe.audio(line).write_bytes(b"not audio at all")
    said = message(small_recipe.run("--to", "train"))
    assert f"manifest.tsv:{line}" in said


def test_audio_that_breaks_off(trained_copy, message):
    line = trained_copy.line_of("test")
    audio = trained_copy.audio(line)
    audio.write_bytes(audio.read_bytes()[: audio.stat().st_size // 2])
    said = message(trained_copy.run("--stages", "infer", "--force"))
    assert audio.stem in said


def test_an_empty_manifest(small_recipe, message):
    small_recipe.write(small_recipe.rows()[:1])
    assert "manifest.tsv" in message(small_recipe.run("--to", "train"))
    small_recipe.manifest.write_text("")
    assert "manifest.tsv" in message(small_recipe.run("--to", "train"))


def test_duplicate_ids_and_broken_lines_are_all_listed(small_recipe, message):
    rows = small_recipe.rows()
    broken = [*rows, rows[1], rows[2], "only one column"]
    small_recipe.write(broken)
    said = message(small_recipe.run("--to", "train"))
    for number in (len(rows) + 1, len(rows) + 2, len(rows) + 3):
        assert f"manifest.tsv:{number}" in said


def test_a_checkpoint_of_another_model(trained_copy, message):
    checkpoints = trained_copy.directory / "exp/training_sample/checkpoints"
    weights = next(checkpoints.glob("*.safetensors"))
    other = trained_copy.directory / "other.safetensors"
    _rename_a_tensor(weights, other)
    said = message(trained_copy.run("--stages", "infer", f"inference.checkpoint={other}"))
    assert "other.safetensors" in said
    assert "encoder" in said
    missing = message(trained_copy.run("--stages", "infer", "inference.checkpoint=nowhere.ckpt"))
    assert "nowhere.ckpt" in missing


def _rename_a_tensor(source: Path, target: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(source)
    name = next(name for name in weights if "encoder" in name)
    weights[f"{name}_renamed"] = weights.pop(name)
    save_file(weights, target)


def test_training_never_overwrites(trained_copy, message):
    said = message(trained_copy.run("training.model.encoder.num_layers=1"))
    assert "training.model.encoder.num_layers: 2 -> 1" in said
    assert "--tag" in said
    assert "--force" in said


def test_two_plugins_with_one_name_and_a_broken_one(small_recipe, message, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    code = (
        "from espnet3_core.hookspecs import hookimpl\nfrom espnet3_core.specs import ModelSpec\n"
        "@hookimpl\ndef espnet3_models(): return [ModelSpec(name='acme/model', target='x:Y')]\n"
    )
    for distribution, namespace, body in (
        ("espnet3-acme", "acme", code),
        ("rival-acme", "acme", code),
        ("espnet3-broken", "broken", "raise RuntimeError('boom')"),
    ):
        module = distribution.replace("-", "_") + "_plugin"
        (site / f"{module}.py").write_text(body)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[espnet3.v1]\n{namespace} = {module}\n")
    environment = {"PYTHONPATH": str(site), "ESPNET3_STRICT_PLUGINS": ""}
    said = message(small_recipe.run("--dry-run", "training.model.name=acme/model", **environment))
    assert "espnet3-acme:acme/model" in said
    assert "rival-acme:acme/model" in said
    said = message(small_recipe.run("--dry-run", "training.model.name=broken/model", **environment))
    assert "boom" in said
    fine = small_recipe.run("--dry-run", **environment)
    assert fine.returncode == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB; needs the right to mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(small_recipe, message, small_disk):
    (small_recipe.directory / "exp").symlink_to(small_disk)
    said = message(small_recipe.run("training.model.encoder.hidden_size=128", "--to", "train"))
    assert "the disk is full" in said


def test_a_read_only_disk(small_recipe, message, small_disk):
    (small_recipe.directory / "exp").symlink_to(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = message(small_recipe.run("--to", "train"))
    assert "the file system is read-only" in said


def test_a_dry_run_touches_nothing(small_recipe):
    before = {path: os.stat(path).st_mtime_ns for path in small_recipe.directory.rglob("*")}
    done = small_recipe.run("--dry-run")
    assert done.returncode == 0, done.stderr
    after = {path: os.stat(path).st_mtime_ns for path in small_recipe.directory.rglob("*")}
    assert before == after
