from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from espnet3_core.cli.recipe_main import translate


def test_run_and_status(toy, run_command):
    code, out, err = run_command("run", str(toy))
    assert (code, out) == (0, "")
    assert "measure: done" in err
    code, out, _ = run_command("status", str(toy))
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines()[1:]}
    assert "up to date" in rows["train"]
    assert "never run" in rows["upload_model"]
    code, out, _ = run_command("status", str(toy), "training.seed=7", "--json")
    found = json.loads(out)
    states = {row["stage"]: row["state"] for row in found["stages"]}
    assert states["train"] == "stale"
    assert states["infer"] == "up to date"
    assert found["experiment"] == str(toy / "exp/training")


def test_status_before_anything_ran_and_without_a_file(toy, run_command):
    (toy / "conf/metrics.yaml").unlink()
    code, out, _ = run_command("status", str(toy), "--json")
    assert code == 0
    states = {row["stage"]: row["state"] for row in json.loads(out)["stages"]}
    assert states["train"] == "never run"
    assert states["measure"] == "not configured"
    assert not (toy / "exp").exists()


def test_options_and_overrides_may_stand_in_any_order(toy, run_command):
    code, _, err = run_command(
        "run", "training.seed=5", "--tag", "mine", str(toy), "--stages", "create_dataset", "train",
        "training.trainer.max_epochs=1", "--dry-run",
    )  # fmt: skip
    assert code == 0, err
    assert "create_dataset: would run" in err
    assert "infer" not in err
    assert not (toy / "exp").exists()
    code, _, err = run_command(
        "run", str(toy), "--stages=create_dataset,train", "--tag=mine", "training.seed=5"
    )
    assert code == 0, err
    assert (toy / "exp/mine/checkpoints/last.ckpt").read_text() == "seed 5 epochs 2"


def test_variants_by_role(toy, run_command):
    (toy / "conf/small.yaml").write_text((toy / "conf/training.yaml").read_text())
    code, _, err = run_command("run", str(toy), "--training", "small", "--to", "create_dataset")
    assert code == 0, err
    assert (toy / "exp/small/stages/create_dataset.json").is_file()
    code, _, err = run_command("run", str(toy), "--config", "training=small", "--to", "create_dataset")
    assert "create_dataset: up to date" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stages", "trian"], "did you mean 'train'"),
        (["--trainin", "x"], "did you mean '--training'"),
        (["other", "third"], "one recipe is expected"),
        (["--config", "training"], "ROLE=STEM is expected"),
        (["training.sed=1"], "training.sed"),
    ],
)
def test_mistakes_end_with_code_2(toy, run_command, words, message):
    code, out, err = run_command("run", str(toy), *words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_a_wrong_folder_is_told(tmp_path, run_command):
    code, _, err = run_command("run", str(tmp_path))
    assert code == 2
    assert "is not a recipe" in err


def test_a_misspelt_stage_is_answered_fast_and_imports_nothing_heavy(toy):
    code = (
        "import sys\n"
        "from espnet3_core.cli.main import main\n"
        f"code = main(['run', {str(toy)!r}, '--stages', 'trian'])\n"
        "heavy = {'torch', 'lightning', 'hydra', 'omegaconf', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "print(code, sorted(heavy))\n"
    )
    start = os.times()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    end = os.times()
    spent = end.children_user - start.children_user + end.children_system - start.children_system
    assert done.stdout.split("\n")[-2] == "2 []"
    assert spent < 1.0, time.ctime()


def test_espnet3_s_options_are_translated(toy):
    words = translate(
        toy,
        [
            "--stages", "train", "infer", "--training_config", "conf/training.yaml",
            "--inference_config", "conf/slow.yaml", "--dry_run", "training.seed=3",
        ],
    )  # fmt: skip
    assert words == [
        "run", str(toy), "training.seed=3", "--training=conf/training.yaml", "--inference=conf/slow.yaml",
        "--dry-run", "--stages", "train", "infer",
    ]  # fmt: skip
    assert translate(toy, ["--stages", "all"]) == ["run", str(toy)]


def test_a_stray_word_after_run_py_is_not_ignored(toy, capsys):
    with pytest.raises(SystemExit) as stopped:
        translate(toy, ["train"])
    assert stopped.value.code == 2
    assert "'train' is neither an option nor an override" in capsys.readouterr().err


def test_a_recipe_runs_as_a_script(toy):
    (toy / "run.py").write_text("from espnet3_core.cli.recipe_main import main\n\nmain(__file__)\n")
    done = subprocess.run(
        [sys.executable, "run.py", "--stages", "create_dataset", "--training_config", "conf/training.yaml"],
        cwd=toy, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "create_dataset: done" in done.stderr
    assert (toy / "exp/training/stages/create_dataset.json").is_file()


def test_sigterm_leaves_a_run_that_can_be_continued(make_recipe):
    recipe = make_recipe(src__system_dot_py=WAITING)
    process = subprocess.Popen(
        [sys.executable, "-m", "espnet3_core", "run", str(recipe)], stderr=subprocess.PIPE, text=True
    )
    for _ in range(1000):
        if (recipe / "waiting").exists() or process.poll() is not None:
            break
        time.sleep(0.05)
    process.terminate()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 75, err
    assert "the same command continues" in err
    record = json.loads((recipe / "exp/training/stages/create_dataset.json").read_text())
    assert record["state"] == "interrupted"


WAITING = """
    import time
    from espnet3_core.specs import StageSpec, SystemSpec

    def create(context):
        (context.recipe.directory / "waiting").touch()
        time.sleep(60)

    SYSTEM = SystemSpec(
        name="recipe/toy", stages=(StageSpec(name="create_dataset", run=create, roles=("training",)),)
    )
"""
