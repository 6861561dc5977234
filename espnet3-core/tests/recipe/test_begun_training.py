"""What a run may not do to a model that has been trained, or is being."""

from __future__ import annotations

import pytest
from espnet3_core.errors import UserError
from espnet3_core.recipe.run import run
from toy_runs import ALL, edit, ran


def test_training_refuses_other_inputs_before_anything_runs(toy, said):
    run(toy)
    said(toy)
    edit(toy, "conf/training.yaml", "seed: 1", "seed: 2")
    (toy / "data/test.txt").write_text("changed\n")
    with pytest.raises(UserError, match=r"training.seed: 1 -> 2") as caught:
        run(toy)
    assert "--tag" in str(caught.value)
    assert "--force" in str(caught.value)
    assert said(toy) == []
    assert (toy / "exp/training/checkpoints/last.ckpt").read_text() == "seed 1 epochs 2"


def test_a_dry_run_reaches_nothing_behind_a_refusal(toy):
    run(toy)
    result = run(toy, dry_run=True, overrides=["training.seed=2"])
    actions = [outcome.action for outcome in result.stages]
    assert actions[2:] == ["would refuse", "not reached", "not reached"]
    assert result.stages[4].why == "train would refuse"


def test_a_tag_keeps_both(toy):
    run(toy)
    assert ran(toy, tag="second", overrides=["training.seed=2"]) == ALL
    assert (toy / "exp/training/checkpoints/last.ckpt").read_text() == "seed 1 epochs 2"
    assert (toy / "exp/second/checkpoints/last.ckpt").read_text() == "seed 2 epochs 2"


def test_force_moves_the_old_checkpoints_aside(toy):
    run(toy)
    assert ran(toy, stages=["train"], force=True, overrides=["training.seed=2"]) == ["train"]
    assert (toy / "exp/training/checkpoints/last.ckpt").read_text() == "seed 2 epochs 2"
    assert (toy / "exp/training/checkpoints.old-1/last.ckpt").read_text() == "seed 1 epochs 2"
    run(toy, stages=["train"], force=True)
    assert (toy / "exp/training/checkpoints.old-2/last.ckpt").read_text() == "seed 2 epochs 2"


def test_the_tokenizer_of_a_trained_model_is_not_overwritten(toy):
    run(toy)
    (toy / "data/train.txt").write_text("other words\n")
    with pytest.raises(UserError, match="data/train.txt: its content was changed"):
        run(toy)
    with pytest.raises(UserError, match="data/train.txt: its content was changed"):
        run(toy, stages=["train_tokenizer"])


@pytest.mark.parametrize(
    ("file", "old", "new", "policy"),
    [
        ("data/train.txt", "a b c", "a b c d", "data=restart_epoch"),
        ("conf/training.yaml", "path: data/train.txt", "path: data/test.txt", "data=restart_epoch"),
        (
            "conf/training.yaml",
            "max_epochs: 2",
            "max_epochs: 2, accumulate_grad_batches: 4",
            "batch=restart_epoch",
        ),
        ("src/model.py", "pass", "wider = True", "model=same_weights"),
    ],
)
def test_a_policy_that_the_refusal_names_goes_on_with_the_change(toy, said, file, old, new, policy):
    run(toy)
    said(toy)
    edit(toy, file, old, new)
    with pytest.raises(UserError, match=rf"training\.resume\.{policy} goes on with the new ones"):
        run(toy)
    goes_on = [f"training.resume.{policy}"]
    assert not {"train_tokenizer", "train"} & set(ran(toy, overrides=goes_on))  # nothing is left to train
    longer = run(toy, overrides=[*goes_on, "training.trainer.max_epochs=4"])
    assert {"train", "infer"} <= set(longer.ran)
    assert "train_tokenizer" not in longer.ran
    assert "train ran to 4" in said(toy)
    assert "train" not in ran(toy, overrides=["training.trainer.max_epochs=4"])  # it is the new state now


def test_a_policy_allows_its_own_changes_only(toy):
    run(toy)
    edit(toy, "data/train.txt", "a b c", "a b c d")
    changed = ["training.resume.data=restart_epoch", "training.batch.size=4"]
    with pytest.raises(UserError, match=r"training\.batch\.size") as caught:
        run(toy, overrides=changed)
    assert "its content was changed" not in str(caught.value)
    with pytest.raises(UserError) as caught:
        run(toy, overrides=["training.seed=7"])
    assert "training.resume" not in str(caught.value)  # no policy allows another seed


def test_a_model_whose_record_is_lost_is_not_trained_with_other_inputs(toy):
    run(toy)
    (toy / "exp/training/stages/train.json").unlink()
    with pytest.raises(UserError, match="training.seed: 1 -> 2"):
        run(toy, overrides=["training.seed=2"])
    assert "train" in ran(toy)
