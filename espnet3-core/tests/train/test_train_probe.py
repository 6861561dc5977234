"""``batch: {auto: true}``: the limit is found by trying, written down, and kept."""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from espnet3_core.component import Component
from espnet3_core.config.roles import BatchConfig, DatasetsConfig, TrainingConfig
from espnet3_core.data.batching import plan_batches
from espnet3_core.errors import UserError
from espnet3_core.train.probe import _together, largest
from espnet3_core.train.stage import train
from hypothesis import given, settings
from hypothesis import strategies as st
from test_train_stage import Context
from torch import nn

RATE = 10


class Frames:
    """40 utterances of 1 to 8 seconds at 10 samples per second."""

    def __init__(self, count: int = 40) -> None:
        self.seconds = 1 + np.arange(count) % 15 / 2

    def __len__(self) -> int:
        return len(self.seconds)

    def ids(self) -> list[str]:
        return [f"utt{index:02d}" for index in range(len(self))]

    def lengths(self):
        return self.seconds

    def __getitem__(self, index):
        samples = np.random.default_rng(index).normal(size=round(self.seconds[index] * RATE))
        return {"id": f"utt{index:02d}", "speech": samples.astype(np.float32)}


class Hungry(nn.Module):
    """Runs out of memory beyond 250 padded samples, which are 25 seconds; notes the batches it is given."""

    most = 250
    seen: list[tuple[int, int]] = []

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)
        self.drop = nn.Dropout(0.5)

    def forward(self, speech, speech_lengths):
        self.seen.append(tuple(speech.shape))
        if speech.numel() > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return {"loss": self.drop(self.net(speech[..., None])).square().mean(), "weight": len(speech)}


def context(tmp_path, epochs=1, **batch):
    config = TrainingConfig(
        dataset=DatasetsConfig(train=Component(target="test_train_probe.Frames"), sample_rate=RATE),
        model=Component(target="test_train_probe.Hungry"),
        collator=Component(target="espnet3_core.data.collate.PadCollator"),
        batch=BatchConfig(**({"auto": True, "memory": 64.0} | batch)),
        trainer={"max_epochs": epochs, "accelerator": "cpu", "log_every_n_steps": 1},
    )
    config.checkpoint.best[0].monitor = "train/loss"
    return Context(tmp_path, config)


@pytest.fixture(autouse=True)
def _fresh():
    import test_train_probe

    test_train_probe.Hungry.seen.clear()


def seen():
    import test_train_probe

    return list(test_train_probe.Hungry.seen)


@given(st.integers(0, 60), st.integers(1, 50))
def test_the_largest_number_that_fits_is_found_in_few_trials(most_that_fit, most):
    tried = []

    def fits(count):
        tried.append(count)
        return count <= most_that_fit

    assert largest(fits, most) == min(most_that_fit, most)
    assert len(tried) == len(set(tried)) <= 2 * most.bit_length() + 1
    assert all(1 <= count <= most for count in tried)


def test_what_fits_is_found_written_and_used(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train(context(tmp_path))
    found = json.loads((tmp_path / "batch.json").read_text())
    assert found["longest"] == 8.0
    assert found["tried"] == [[1, True], [2, True], [4, False], [3, True]]
    assert found["seconds"] == 21.6  # nine tenths of three utterances of 8 s
    assert "21.6 s of padded audio" in caplog.text and "at most 21.6 s" in caplog.text
    trained = seen()[4:]
    assert sum(rows for rows, _ in trained) == 40
    assert all(rows * samples <= 21.6 * RATE for rows, samples in trained)


def test_training_goes_on_with_the_limit_that_it_began_with(tmp_path, monkeypatch):
    import test_train_probe

    train(context(tmp_path, epochs=1))
    first = (tmp_path / "batch.json").read_text()
    monkeypatch.setattr(test_train_probe.Hungry, "most", 10**9)  # another machine
    test_train_probe.Hungry.seen.clear()
    train(context(tmp_path, epochs=2))
    assert (tmp_path / "batch.json").read_text() == first
    assert sum(rows for rows, _ in seen()) == 40  # nothing was tried again
    (tmp_path / "batch.json").unlink()
    with pytest.raises(UserError, match=r"batch\.json is lost"):
        train(context(tmp_path, epochs=3))


def test_trying_leaves_the_training_as_it_would_be_without(tmp_path):
    train(context(tmp_path / "auto"))
    train(context(tmp_path / "same", auto=False, seconds=21.6))
    states = [
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=False)["state_dict"]
        for name in ("auto", "same")
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_another_rank_takes_what_the_first_has_found(tmp_path):
    one = context(tmp_path)
    train(one)
    from espnet3_core.train import probe, stage
    from espnet3_core.train.data import TrainingData

    data = TrainingData(one)
    module = stage.build_module(one, one.training, None, fresh=True)
    trainer = stage.build_trainer(one, one.training, dict(one.training.trainer), None)
    count = len(seen())
    other = dataclasses.replace(one, rank=1)
    assert probe.found_batch(other, module, trainer, data, resumed=False).seconds == 21.6
    assert len(seen()) == count


def test_bounds_hold(tmp_path):
    train(context(tmp_path / "a", size=2))
    assert json.loads((tmp_path / "a/batch.json").read_text())["seconds"] == 16.0
    train(context(tmp_path / "b", seconds=9.0))
    assert json.loads((tmp_path / "b/batch.json").read_text())["seconds"] == 8.0


def test_what_cannot_be_found_is_an_error(tmp_path, monkeypatch):
    import test_train_probe

    with pytest.raises(UserError, match="set training.batch.memory"):
        train(context(tmp_path, memory=None))
    with pytest.raises(UserError, match="8.0 s alone does not fit"):
        train(context(tmp_path, memory=0.001))  # less than the interpreter takes
    monkeypatch.setattr(test_train_probe.Frames, "lengths", lambda self: None)
    with pytest.raises(UserError, match="does not know its lengths"):
        train(context(tmp_path))
    assert not (tmp_path / "batch.json").exists()


def test_the_found_limit_is_part_of_the_plan_that_a_resumed_training_must_have(tmp_path) -> None:
    train(context(tmp_path))
    train(context(tmp_path, epochs=2, memory=32.0))  # what the search may take is no matter any more
    file = next(tmp_path.rglob("batch.json"))
    found = json.loads(file.read_text())
    file.write_text(json.dumps(found | {"seconds": found["seconds"] / 2}))
    with pytest.raises(UserError, match="another rule than before: seconds"):
        train(context(tmp_path, epochs=3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.5, 20.0), min_size=12, max_size=100), st.integers(1, 8), st.integers(2, 4))
def test_no_part_of_a_global_batch_is_beyond_what_one_device_holds(lengths, count, devices) -> None:
    longest = max(lengths)
    known = {"seconds": 0.9 * count * longest if count > 1 else longest, "longest": longest}
    plan = plan_batches(lengths, seconds=_together(known, devices), world_size=devices, scope="global")
    padded = [max(lengths[item] for item in part) * len(part) for part in plan]
    made_to_fit = len(plan) // devices == len(lengths) // devices  # too few utterances for more steps
    assert made_to_fit or max(padded) <= known["seconds"] * (1 + 1e-9)


def test_the_peak_of_a_trial_is_its_own_where_freed_memory_is_kept() -> None:
    code = """
import torch
from espnet3_core.memory import free_memory, keep_freed_memory
from espnet3_core.train.probe import _peak, _reset_peak

keep_freed_memory()
device = torch.device("cpu")
for size in (10, 100, 10):
    free_memory(device)
    _reset_peak(device)
    values = torch.ones(size * 1024 * 1024)
    del values
    print(_peak(device))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    small, large, again = map(float, done.stdout.split())
    assert large - small > 300e6
    assert again - small < 100e6
