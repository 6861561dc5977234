import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from espnet3_core.component import Component
from espnet3_core.config.roles import BestConfig, CheckpointConfig
from espnet3_core.errors import Interrupted, UserError
from safetensors.torch import load_file
from toy_training import Died, ToyContext, Trace, read_trace, run_toy, toy_config

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulate": {"trainer": {"accumulate_grad_batches": 2}},
    "uneven": {"trainer": {"accumulate_grad_batches": 4}},
    "validation inside epochs": {"trainer": {"val_check_interval": 3}},
    "max_steps": {"trainer": {"max_steps": 14, "max_epochs": -1}},
    "workers": {"workers": 2},
}


def context_for(directory: Path, name: str = "plain", *, every: int | None = 2, **changes: Any) -> ToyContext:
    settings = SETTINGS[name]
    config = toy_config(
        trainer={"max_epochs": 3, **settings.get("trainer", {}), **changes.pop("trainer", {})},
        scheduler=Component(target="torch.optim.lr_scheduler.ExponentialLR", options={"gamma": 0.95}),
        checkpoint=CheckpointConfig(
            best=[BestConfig(keep=2), BestConfig(monitor="train/mae", keep=1)], every_steps=every
        ),
        **changes,
    )
    return ToyContext(directory, config)


def outcome(directory: Path) -> dict[str, Any]:
    """Everything that must not depend on interruptions."""
    records = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    timing = ("time", "seconds", "utterances_per_second", "step_time", "data_wait")
    files = {path.name for path in (directory / "checkpoints").iterdir()}
    return {
        "records": [{k: v for k, v in record.items() if k not in timing} for record in records],
        "index": json.loads((directory / "checkpoints" / "index.json").read_text()),
        "files": files,
        "average": {
            name: value.tolist()
            for name, value in load_file(directory / "checkpoints" / "average.safetensors").items()
        },
    }


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Any], dict[str, Any]]]:
    found = {}
    for name, settings in SETTINGS.items():
        directory = tmp_path_factory.mktemp("whole")
        run_toy(
            context_for(directory, name), trace=Trace(directory / "trace"), workers=settings.get("workers", 0)
        )
        found[name] = (read_trace(directory / "trace"), outcome(directory))
    return found


@pytest.mark.parametrize(
    ("name", "deaths"),
    [
        ("plain", [3, 4]),
        ("plain", [6]),
        ("plain", [12, 1, 2]),
        ("accumulate", [5, 6]),
        ("accumulate", [7]),
        ("uneven", [8]),
        ("validation inside epochs", [3]),
        ("validation inside epochs", [7, 2]),
        ("max_steps", [9]),
        ("workers", [8]),
    ],
)
def test_a_training_that_died_ends_as_if_it_had_not(
    tmp_path: Path, references: dict[str, Any], name: str, deaths: list[int]
) -> None:
    workers = SETTINGS[name].get("workers", 0)
    for death in deaths:
        with pytest.raises(Died):
            run_toy(context_for(tmp_path, name), trace=Trace(tmp_path / "trace", death), workers=workers)
    run_toy(context_for(tmp_path, name), trace=Trace(tmp_path / "trace"), workers=workers)
    whole, expected = references[name]
    done = {(epoch, batch): record for epoch, batch, *record in read_trace(tmp_path / "trace")}
    assert done == {(epoch, batch): record for epoch, batch, *record in whole}
    assert outcome(tmp_path) == expected


def test_consumed_batches_are_not_repeated(tmp_path: Path, references: dict[str, Any]) -> None:
    with pytest.raises(Died):
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "first", 5))
    run_toy(context_for(tmp_path), trace=Trace(tmp_path / "second"))
    # Saved after four steps: the fifth batch, whose step was lost, is the only one that comes twice.
    assert read_trace(tmp_path / "second") == references["plain"][0][4:]


@pytest.mark.parametrize("at", [1, 6, 9])
def test_a_signal_saves_at_once_and_loses_nothing(
    tmp_path: Path, references: dict[str, Any], at: int
) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with pytest.raises(
        Interrupted, match=r"SIGTERM at epoch .*everything is saved in .*last\.ckpt"
    ) as caught:
        run_toy(context_for(tmp_path, every=None), trace=Trace(tmp_path / "trace", signal_at=at))
    assert caught.value.exit_code == 75
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    run_toy(context_for(tmp_path, every=None), trace=Trace(tmp_path / "trace"))
    whole, expected = references["plain"]
    assert read_trace(tmp_path / "trace") == whole
    found = outcome(tmp_path)
    assert found["records"] == expected["records"]
    assert found["index"] == expected["index"]


def test_a_killed_process_is_continued_by_the_same_command(
    tmp_path: Path, references: dict[str, Any]
) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from test_train_resume import *\n"
        "run_toy(context_for(Path(sys.argv[2])), trace=Trace(Path(sys.argv[2]) / 'trace', 9, kill=True))\n"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    process = subprocess.run(command, timeout=120, check=False, capture_output=True, env={**os.environ})
    assert process.returncode == -signal.SIGKILL
    run_toy(context_for(tmp_path), trace=Trace(tmp_path / "trace"))
    whole, expected = references["plain"]
    done = {(epoch, batch): record for epoch, batch, *record in read_trace(tmp_path / "trace")}
    assert done == {(epoch, batch): record for epoch, batch, *record in whole}
    assert outcome(tmp_path) == expected


def test_a_finished_training_says_so_and_goes_on_when_it_is_made_longer(tmp_path: Path) -> None:
    short = {"max_epochs": 2}
    run_toy(context_for(tmp_path, trainer=short))
    saved = (tmp_path / "checkpoints" / "last.ckpt").read_bytes()
    assert run_toy(context_for(tmp_path, trainer=short)) is None
    assert (tmp_path / "checkpoints" / "last.ckpt").read_bytes() == saved
    run_toy(context_for(tmp_path, trainer={"max_epochs": 3}), trace=Trace(tmp_path / "trace"))
    assert {record[0] for record in read_trace(tmp_path / "trace")} == {2}


def test_longer_by_steps_goes_on_inside_the_epoch(tmp_path: Path, references: dict[str, Any]) -> None:
    run_toy(context_for(tmp_path, "max_steps", trainer={"max_steps": 8}))
    run_toy(context_for(tmp_path, "max_steps"), trace=Trace(tmp_path / "trace"))
    whole, expected = references["max_steps"]
    assert read_trace(tmp_path / "trace") == whole[8:]
    epochs = [record for record in outcome(tmp_path)["records"] if record["kind"] == "epoch"]
    assert epochs == [record for record in expected["records"] if record["kind"] == "epoch"]


def test_last_holds_nothing_but_tensors_and_plain_values(tmp_path: Path) -> None:
    run_toy(context_for(tmp_path))
    content = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert {"state_dict", "optimizer_states", "lr_schedulers", "espnet3"} <= set(content)
    assert "loops" not in content


def test_another_number_of_processes_begins_the_epoch_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Died):
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "first", 9))
    path = tmp_path / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    content["espnet3"]["world_size"] = 2
    torch.save(content, path)
    run_toy(context_for(tmp_path), trace=Trace(tmp_path / "second"))
    assert "trained with 2 processes before and 1 now: epoch 1 is begun again" in caplog.text
    first, second = read_trace(tmp_path / "first"), read_trace(tmp_path / "second")
    assert [record[:3] for record in second[:2]] == [record[:3] for record in first[6:8]]
    assert second[0][5] == 9  # the steps of the interrupted epoch count


def test_an_early_stop_is_an_end_until_training_is_made_longer(tmp_path: Path) -> None:
    stopping = {
        "_target_": "lightning.pytorch.callbacks.EarlyStopping",
        "monitor": "train/loss",
        "patience": 1,
    }
    stopping |= {"min_delta": 1000.0}
    for epochs, expected in ((5, {0, 1}), (5, None), (6, {2})):
        trace = tmp_path / f"trace{epochs}{expected}"
        module = run_toy(
            context_for(tmp_path, trainer={"max_epochs": epochs, "callbacks": [stopping]}), trace=Trace(trace)
        )
        assert (module is None) == (expected is None)
        if expected is not None:
            assert {record[0] for record in read_trace(trace)} == expected


def test_signals_to_data_workers_are_not_taken_for_ours(tmp_path: Path) -> None:
    run_toy(context_for(tmp_path, every=None), trace=WorkerSignals(), workers=1)
    assert "stopped" in torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["espnet3"]


class WorkerSignals(Trace):
    """Sends an interrupt to the processes that load data, as a terminal does to all of a group."""

    def __init__(self) -> None:
        self.sent = False

    def on_train_batch_end(self, trainer: Any, *rest: Any) -> None:
        if not self.sent:
            self.sent = True
            for child in multiprocessing.active_children():
                os.kill(child.pid, signal.SIGINT)


def test_half_a_checkpoint_is_not_left_on_a_full_disk(tmp_path, monkeypatch):
    def full(temporary, target):
        assert temporary.stat().st_size
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("espnet3_core.train.checkpointing._replace", full)
    with pytest.raises(UserError, match="the disk is full"):
        run_toy(context_for(tmp_path))
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_checkpoints_do_not_pass_through_the_folder_for_temporary_files(tmp_path, monkeypatch):
    def refused(*arguments, **options):
        raise AssertionError("a temporary file elsewhere")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    run_toy(context_for(tmp_path))
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]
