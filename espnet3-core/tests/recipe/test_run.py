from __future__ import annotations

import json
import os
import signal

import pytest
from espnet3_core.errors import EXIT_RESUMABLE, Interrupted, UserError
from espnet3_core.recipe.run import run, stoppable
from toy_runs import ALL, edit, ran, record, tree


def test_everything_through_measure_runs_once_and_uploads_never(toy, said):
    assert ran(toy) == ALL
    assert [line.split()[0] for line in said(toy)] == ALL
    second = run(toy)
    assert second.ran == ()
    assert [outcome.action for outcome in second.stages] == ["skipped"] * 5
    assert said(toy) == []


def test_an_upload_runs_when_it_is_named(toy, said):
    run(toy)
    assert ran(toy, stages=["upload_model"]) == ["upload_model"]
    assert ran(toy, stages=["all"]) == []


def test_a_dry_run_touches_nothing_and_tells_why(toy, caplog):
    before = tree(toy)
    result = run(toy, dry_run=True)
    assert tree(toy) == before
    assert [outcome.action for outcome in result.stages] == ["would run"] * 5
    run(toy)
    edit(toy, "conf/inference.yaml", "checkpoint: last", "checkpoint: best")
    before = tree(toy)
    result = run(toy, dry_run=True)
    assert tree(toy) == before
    assert [outcome.action for outcome in result.stages] == ["skipped"] * 3 + ["would run"] * 2
    assert 'inference.checkpoint: "last" -> "best"' in result.stages[3].why
    assert result.stages[4].why == "infer would run before it"


def test_a_changed_manifest_makes_results_stale(toy):
    run(toy)
    (toy / "data/test.txt").write_text("a b c\n")
    result = run(toy)
    assert result.ran == ("infer", "measure")
    assert "its content was changed" in result.stages[3].why


def test_a_stage_whose_outputs_are_gone_runs_again(toy):
    run(toy)
    (toy / "exp/training/inference/test/results.jsonl").unlink()
    # The results come out as they were, so that the scores still hold.
    assert ran(toy) == ["infer"]


def test_neutral_keys_do_not_matter(toy):
    run(toy)
    assert (
        ran(toy, overrides=["training.batch.workers=3", "training.trainer.enable_progress_bar=false"]) == []
    )
    assert ran(toy, overrides=["inference.batch.size=3", "inference.device=cpu"]) == []


def test_raising_max_epochs_continues_and_lowering_does_not(toy, said):
    run(toy)
    said(toy)
    result = run(toy, overrides=["training.trainer.max_epochs=4"])
    assert said(toy)[0] == "train ran to 4"
    assert result.ran == ("train", "infer", "measure")
    assert result.stages[2].why == "continues: training.trainer.max_epochs: 2 -> 4"
    assert ran(toy, overrides=["training.trainer.max_epochs=3"]) == []


def test_an_interrupted_training_continues(toy, said):
    (toy / "stop").touch()
    with pytest.raises(Interrupted) as caught:
        run(toy)
    assert caught.value.exit_code == EXIT_RESUMABLE
    assert record(toy, "train")["state"] == "interrupted"
    with pytest.raises(UserError, match="training.seed: 1 -> 2"):
        run(toy, overrides=["training.seed=2"])
    (toy / "stop").unlink()
    result = run(toy)
    assert result.ran == ("train", "infer", "measure")
    assert result.stages[2].why == "interrupted"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_clusters_signals_stop_a_run_as_an_interrupt_does(name):
    number = signal.Signals[name]
    with pytest.raises(KeyboardInterrupt, match=name), stoppable():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_failure_is_recorded_and_the_next_run_tries_again(make_recipe):
    recipe = make_recipe(src__system_dot_py=FAILING)
    with pytest.raises(UserError, match="no such corpus"):
        run(recipe)
    kept = record(recipe, "create_dataset")
    assert (kept["state"], kept["error"]) == ("failed", "no such corpus")
    assert "no such corpus" in (recipe / "exp/training/logs/create_dataset.log").read_text()
    (recipe / "corpus").touch()
    assert ran(recipe) == ["create_dataset"]


FAILING = """
    from espnet3_core.errors import UserError
    from espnet3_core.specs import StageSpec, SystemSpec

    def create(context):
        if not (context.recipe.directory / "corpus").exists():
            raise UserError("no such corpus")

    SYSTEM = SystemSpec(
        name="recipe/toy", stages=(StageSpec(name="create_dataset", run=create, roles=("training",)),)
    )
"""


def test_later_stages_use_the_configuration_that_was_trained(toy, caplog):
    run(toy)
    edit(toy, "conf/training.yaml", "seed: 1", "seed: 2")
    (toy / "data/test.txt").write_text("a b c\n")
    caplog.clear()
    assert ran(toy, from_="infer") == ["infer", "measure"]
    assert record(toy, "infer")["facts"]["seed"] == 1
    assert "training.seed: 1 -> 2" in caplog.text


def test_inference_variants_have_results_and_records_of_their_own(toy):
    run(toy)
    (toy / "conf/inference_slow.yaml").write_text((toy / "conf/inference.yaml").read_text() + "seed: 5\n")
    assert ran(toy, stems={"inference": "conf/inference_slow.yaml"}) == ["infer", "measure"]
    assert (toy / "exp/training/inference_slow/metrics.json").is_file()
    assert ran(toy, stems={"inference": "inference_slow"}) == []
    assert ran(toy) == []


def test_a_training_variant_is_an_experiment_of_its_own(toy):
    (toy / "conf/training_small.yaml").write_text((toy / "conf/training.yaml").read_text())
    assert run(toy, stems={"training": "training_small"}).experiment == toy / "exp/training_small"


def test_a_record_says_how_it_was_made(toy):
    run(
        toy,
        stages=["create_dataset"],
        overrides=["training.trainer.default_root_dir=https://me:pass@host/x"],
        command=["espnet3", "run", "wandb_api_key=abc"],
    )
    kept = record(toy, "create_dataset")
    assert kept["state"] == "done"
    assert kept["seed"] == 1
    assert kept["command"] == ["espnet3", "run", "wandb_api_key=<hidden>"]
    assert kept["overrides"] == ["training.trainer.default_root_dir=https://<hidden>@host/x"]
    assert kept["versions"]["espnet3-core"]
    assert kept["versions"]["python"]
    assert kept["seconds"] >= 0
    log = (toy / "exp/training/logs/create_dataset.log").read_text()
    assert "wandb_api_key=<hidden>" in log
    assert "host:" in log


def test_another_version_is_warned_about(toy, caplog):
    run(toy, stages=["create_dataset"])
    file = toy / "exp/training/stages/create_dataset.json"
    kept = json.loads(file.read_text())
    kept["versions"]["espnet3-core"] = "0.0.1"
    file.write_text(json.dumps(kept))
    run(toy, stages=["create_dataset"])
    assert "create_dataset was made with espnet3-core 0.0.1" in caplog.text


def test_a_stage_that_runs_elsewhere_is_not_started_again(toy):
    run(toy, stages=["create_dataset"])
    file = toy / "exp/training/stages/create_dataset.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "state": "running", "host": "another-machine"}))
    with pytest.raises(UserError, match="create_dataset is running already"):
        run(toy, stages=["create_dataset"])
    file.write_text(json.dumps({**kept, "state": "running", "pid": 2**22 + 5}))
    assert ran(toy, stages=["create_dataset"]) == ["create_dataset"]


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"stages": ["trian"]}, "no stage 'trian'", "did you mean 'train'"),
        ({"from_": "nothing_like_it"}, "no stage 'nothing_like_it'", "stages are: create_dataset"),
        ({"from_": "measure", "to": "train"}, "--from measure comes after --to train", "the order is"),
        ({"stages": ["train"], "to": "infer"}, "--stages names the stages", ""),
        ({"overrides": ["trainng.seed=3"]}, "no role 'trainng'", "did you mean 'training'"),
        ({"tag": "a b"}, "'a b' cannot be", "letters"),
        ({"stems": {"training": "trainin"}}, "trainin.yaml", "did you mean 'training'"),
        ({"stems": {"trainin": "small"}}, "there is no role 'trainin'", "did you mean 'training'"),
        ({"stages": "trian"}, "no stage 'trian'", "did you mean 'train'"),
        ({"overrides": "trainng.seed=3"}, "no role 'trainng'", "did you mean 'training'"),
    ],
)
def test_mistakes_are_told_and_touch_nothing(toy, options, message, hint):
    before = tree(toy)
    with pytest.raises(UserError) as caught:
        run(toy, **options)
    assert message in str(caught.value)
    assert hint in str(caught.value)
    assert tree(toy) == before


def test_only_the_roles_of_the_selected_stages_are_read(toy):
    (toy / "conf/metrics.yaml").write_text("nonsense: 1\n")
    assert ran(toy, to="infer") == ALL[:4]
    with pytest.raises(UserError, match="nonsense"):
        run(toy)


def test_ranges_are_in_declared_order(toy):
    assert ran(toy, to="train_tokenizer") == ALL[:2]
    assert ran(toy, from_="train", to="infer") == ["train", "infer"]
    assert ran(toy, stages=["measure", "infer"], force=True) == ["infer", "measure"]


CHECKING = """
    from espnet3_core.errors import Finding
    from espnet3_core.hookspecs import hookimpl

    @hookimpl
    def espnet3_check_config(config):
        if config["training"].get("seed") == 13:
            yield Finding(message="an unlucky seed", key="training.seed")
"""


def test_checks_of_plugins_stop_a_run(make_recipe, said):
    recipe = make_recipe(src__plugin_dot_py=CHECKING)
    with pytest.raises(UserError, match="training.seed: an unlucky seed"):
        run(recipe, overrides=["training.seed=13"])
    assert said(recipe) == []
    assert ran(recipe) == ALL


def test_two_runs_do_not_meet_in_a_stage(make_recipe):
    recipe = make_recipe(src__system_dot_py=NESTED)
    with pytest.raises(UserError, match=f"create_dataset.lock: process {os.getpid()} on .* is at work here"):
        run(recipe)
    assert not list((recipe / "exp/training/stages").glob("*.lock"))


NESTED = """
    from espnet3_core.recipe.run import run
    from espnet3_core.specs import StageSpec, SystemSpec

    def create(context):
        run(context.recipe.directory)

    SYSTEM = SystemSpec(
        name="recipe/toy", stages=(StageSpec(name="create_dataset", run=create, roles=("training",)),)
    )
"""
