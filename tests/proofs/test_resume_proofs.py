"""Kill and resume: 20 random micro-batches in each setting, and every write of a training."""

import importlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TOYS = Path(__file__).resolve().parents[2] / "espnet3-core/tests/train"
RECORDER = '''
"""Writes down every micro-batch of each rank, and sends a signal to the run at one of them."""

import json
import os
import signal
from pathlib import Path

from lightning.pytorch import Callback


class Recorder(Callback):
    """``$SIGNAL_AT`` is ``epoch batch SIGNAL``, which goes to every process, as a cluster sends it."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        epoch = trainer.current_epoch
        loss = outputs["loss"] * trainer.accumulate_grad_batches
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        record = [epoch, batch_idx, batch["ids"], loss.item().hex(), rate.hex(), trainer.global_step]
        path = Path(trainer.default_root_dir, f"trace{trainer.global_rank}")
        with path.open("a") as stream:
            stream.write(json.dumps(record) + "\\n")
        at = os.environ.get("SIGNAL_AT", "").split()
        if at[:2] == [str(epoch), str(batch_idx)] and trainer.global_rank == 0:
            os.killpg(0, signal.Signals[at[2]])
'''
AUGMENT = "training.dataset.transforms=[{name: core/speed, factors: [0.9, 1.0, 1.1]}]"
NO_AUGMENT = ("training.dataset.transforms=[]", "training.model.specaugment=null")
SETTINGS = {
    "plain": NO_AUGMENT,
    "accumulation": (*NO_AUGMENT, "training.trainer.accumulate_grad_batches=2"),
    "workers": (*NO_AUGMENT, "training.batch.workers=2"),
    "two ranks": (*NO_AUGMENT, "training.trainer.devices=2", "training.trainer.strategy=ddp"),
    "augmentation": (AUGMENT,),
    "ema": (
        *NO_AUGMENT,
        "training.callbacks=[{_target_: src.recorder.Recorder}, {name: core/ema, decay: 0.5}]",
    ),
    "together": (AUGMENT, "training.trainer.accumulate_grad_batches=2", "training.batch.workers=1"),
}


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.syspath_prepend(str(TOYS))
    return importlib.import_module("resume_cases")


@pytest.mark.slow
def test_twenty_kills_in_each_setting_of_a_small_model(tmp_path, cases):
    proofs = cases.script("kills.py", str(tmp_path), "20", "1", *cases.SETTINGS)
    print(*proofs, sep="\n")
    assert [proof["setting"] for proof in proofs] == list(cases.SETTINGS)
    for proof in proofs:
        assert (proof["ended"], proof["differing"]) == (0, []), proof
        assert proof["killed"] == proof["kills"] == 21, proof


@pytest.mark.slow
def test_every_write_fails_and_is_killed_once(tmp_path, cases):
    (found,) = cases.script("faults.py", str(tmp_path), "all")
    print(found)
    assert found["tried"] > 2 * found["operations"]
    assert found["problems"] == {}


def train(recipe, tag, setting, signal_at=""):
    """The command, in a process group of its own; its exit code."""
    words = [
        "--to", "train", "--tag", tag, "--training", "training_sample",
        "training.model.encoder.hidden_size=8", "training.trainer.max_epochs=4", "training.batch.size=2",
        "training.trainer.log_every_n_steps=1", "training.trainer.accelerator=cpu",
        "training.checkpoint.every_steps=2", "training.checkpoint.best=[{keep: 2}]",
        "training.callbacks=[{_target_: src.recorder.Recorder}]", *SETTINGS[setting],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "espnet3_core", "run", str(recipe), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "SIGNAL_AT": signal_at},
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.returncode in (0, 75, -signal.SIGKILL), done.stdout[-2000:] + done.stderr[-2000:]
    return done.returncode


@pytest.mark.parametrize(
    ("setting", "kills"),
    [("together", 1), *(pytest.param(name, 20, marks=pytest.mark.slow) for name in SETTINGS)],
)
def test_a_recipe_that_is_killed_and_terminated_ends_as_if_it_had_not_been(
    small_recipe, cases, setting, kills
):
    recipe = small_recipe.directory
    (recipe / "src").mkdir(exist_ok=True)
    (recipe / "src/recorder.py").write_text(RECORDER)
    whole, parts = recipe / "exp/whole", recipe / "exp/parts"
    assert train(recipe, "whole", setting) == 0
    batches = sorted({(epoch, batch) for _, epoch, batch in cases.traces(whole)})
    rng = random.Random(setting)
    places = sorted(rng.sample(batches, min(kills, len(batches) - 1) + 1))
    terminated = rng.choice(places)
    for place in places:
        name, code = ("SIGTERM", 75) if place == terminated else ("SIGKILL", -signal.SIGKILL)
        assert train(recipe, "parts", setting, f"{place[0]} {place[1]} {name}") == code, place
    assert train(recipe, "parts", setting) == 0
    print(setting, len(places), "signals:", cases.differing(whole, parts) or "0 differing values")
    assert cases.differing(whole, parts) == []
