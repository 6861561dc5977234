import math
import multiprocessing
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from espnet3_core.component import Component
from espnet3_core.config.roles import ResumeConfig
from espnet3_core.errors import Interrupted, UserError
from espnet3_core.train.resume import ResumeRefused
from espnet3_core.train.states import verify
from resume_cases import context_for, in_process, outcome
from toy_training import Died, ToyModel, Trace, read_trace, run_toy


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Any], dict[str, Any]]]:
    found = {}
    for name in ("plain", "max_steps"):
        directory = tmp_path_factory.mktemp("whole")
        run_toy(context_for(directory, name), trace=Trace(directory / "trace"))
        found[name] = (read_trace(directory / "trace"), outcome(directory))
    return found


def test_models_that_fell_out_before_a_death_are_deleted_once(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_toy(context_for(whole, every=None, keep=1))
    with pytest.raises(Died):
        run_toy(context_for(parts, every=None, keep=1), trace=Trace(tmp_path / "trace", 14))
    run_toy(context_for(parts, every=None, keep=1))
    assert outcome(parts) == outcome(whole)


def test_consumed_batches_are_not_repeated(tmp_path: Path, references: dict[str, Any]) -> None:
    with pytest.raises(Died):
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "first", 5))
    run_toy(context_for(tmp_path), trace=Trace(tmp_path / "second"))
    # Saved after four steps: the fifth batch, whose step was lost, is the only one that comes twice.
    assert read_trace(tmp_path / "second") == references["plain"][0][4:]


@pytest.mark.parametrize(("at", "name"), [(1, "SIGTERM"), (6, "SIGTERM"), (9, "SIGUSR1")])
def test_a_signal_saves_at_once_and_loses_nothing(
    tmp_path: Path, references: dict[str, Any], at: int, name: str
) -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    sending = Trace(tmp_path / "trace", signal_at=at, number=signal.Signals[name])
    with pytest.raises(
        Interrupted, match=rf"{name} at epoch .*everything is saved in .*last\.ckpt"
    ) as caught:
        run_toy(context_for(tmp_path, every=None), trace=sending)
    assert caught.value.exit_code == 75
    assert [signal.getsignal(number) for number in numbers] == before
    run_toy(context_for(tmp_path, every=None), trace=Trace(tmp_path / "trace"))
    whole, expected = references["plain"]
    assert read_trace(tmp_path / "trace") == whole
    found = outcome(tmp_path)
    assert found["records"] == expected["records"]
    assert found["index"] == expected["index"]


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


def test_another_number_of_processes_is_refused_or_begins_the_epoch_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Died):
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "first", 9))
    path = tmp_path / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    content["espnet3"]["world_size"] = 2
    torch.save(content, path)
    with pytest.raises(
        ResumeRefused, match=r"trained with 2 processes before and 1 now\n.*world_size=restart_epoch"
    ):
        run_toy(context_for(tmp_path))
    allowing = context_for(tmp_path, resume=ResumeConfig(world_size="restart_epoch"))
    run_toy(allowing, trace=Trace(tmp_path / "second"))
    assert "the batches are others than before: epoch 1 is begun again" in caplog.text
    first, second = read_trace(tmp_path / "first"), read_trace(tmp_path / "second")
    assert [record[:3] for record in second[:2]] == [record[:3] for record in first[6:8]]
    assert second[0][5] == 9  # the steps of the interrupted epoch count


@pytest.mark.parametrize(
    ("change", "policy", "message"),
    [
        ({"count": 25}, "data", "the training data is other than before"),
        ({"size": 6}, "batch", "batches are made by another rule than before: size: 4 -> 6"),
        (
            {"trainer": {"accumulate_grad_batches": 2}},
            "batch",
            "another rule than before: accumulate_grad_batches: 1 -> 2",
        ),
    ],
)
def test_other_batches_are_refused_or_begin_the_epoch_again(
    tmp_path: Path, change: dict[str, Any], policy: str, message: str
) -> None:
    trainer = {"trainer": change.pop("trainer")} if "trainer" in change else {}
    with pytest.raises(Died):
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "first", 9))
    with pytest.raises(ResumeRefused, match=rf"{message}\n.*training\.resume\.{policy}=restart_epoch"):
        run_toy(context_for(tmp_path, **trainer), **change)
    allowing = context_for(tmp_path, resume=ResumeConfig(**{policy: "restart_epoch"}), **trainer)
    run_toy(allowing, trace=Trace(tmp_path / "second"), **change)
    second = read_trace(tmp_path / "second")
    assert second[0][:2] == [1, 0]  # from the start of the second epoch
    of_epoch = [name for record in second if record[0] == 1 for name in record[2]]
    assert sorted(of_epoch) == [f"utt{index:03d}" for index in range(change.get("count", 24))]


def test_weights_of_another_shape_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(Died):
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "first", 9))
    other = ToyModel()
    other.decoder = torch.nn.Linear(16, 1, bias=False)
    with pytest.raises(ResumeRefused, match=r"another model: 1 unexpected \(model\.decoder\.bias\)"):
        run_toy(context_for(tmp_path), other)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
def test_the_former_state_is_taken_when_the_last_one_is_damaged(
    tmp_path: Path, references: dict[str, Any], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    with pytest.raises(Died):
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "first", 9))
    last = tmp_path / "checkpoints" / "last.ckpt"
    content = last.read_bytes()
    middle = len(content) // 2
    broken = {
        "cut": content[:-200],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "empty": b"",
    }
    if damage == "gone":  # a crash between the two renames
        last.unlink()
    else:
        last.write_bytes(broken[damage])
    run_toy(context_for(tmp_path), trace=Trace(tmp_path / "second"))
    if damage != "gone":
        assert "last.ckpt: cannot be resumed from: it is damaged" in caplog.text
        assert "going on from" in caplog.text and "previous.ckpt (epoch 1, step 6)" in caplog.text
    whole, expected = references["plain"]
    assert read_trace(tmp_path / "second") == whole[6:]
    assert outcome(tmp_path) == expected


def test_a_damaged_state_does_not_take_the_place_of_a_whole_one(tmp_path: Path) -> None:
    with pytest.raises(Died):
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "first", 9))
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"half")
    with pytest.raises(Died):  # after one more save
        run_toy(context_for(tmp_path), trace=Trace(tmp_path / "second", 3))
    for name in ("last.ckpt", "previous.ckpt"):
        verify(tmp_path / "checkpoints" / name)


def test_two_damaged_states_are_both_named(tmp_path: Path) -> None:
    run_toy(context_for(tmp_path))
    for name in ("last.ckpt", "previous.ckpt"):
        (tmp_path / "checkpoints" / name).write_bytes(b"half")
    with pytest.raises(UserError, match=r"last\.ckpt: cannot be resumed(.|\n)*previous\.ckpt: cannot be"):
        run_toy(context_for(tmp_path))


def test_what_reads_back_otherwise_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Any, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        torch.save(checkpoint, path)
        if checkpoint["global_step"] > 4:
            os.truncate(path, path.stat().st_size - 100)

    monkeypatch.setattr("espnet3_core.train.checkpoint_io.DirectCheckpointIO.save_checkpoint", forgetful)
    with pytest.raises(UserError, match=r"last\.ckpt: what was written does not read back: it is damaged"):
        run_toy(context_for(tmp_path))
    for name, step in (("last.ckpt", 4), ("previous.ckpt", 2)):
        assert torch.load(tmp_path / "checkpoints" / name, weights_only=True)["global_step"] == step


def test_a_disk_without_room_stops_training_with_the_last_state_whole(tmp_path: Path) -> None:
    """The kernel itself refuses to write more."""

    def limited() -> None:
        run_toy(context_for(tmp_path, trainer={"max_epochs": 1}))
        size = (tmp_path / "checkpoints" / "last.ckpt").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))
        run_toy(context_for(tmp_path))

    assert in_process(limited) == 2
    verify(tmp_path / "checkpoints" / "last.ckpt")
    assert not list((tmp_path / "checkpoints").glob(".*"))
    run_toy(context_for(tmp_path))


def test_a_cosine_follows_its_longer_self_when_training_is_made_longer(tmp_path: Path) -> None:
    cosine = Component(name="core/warmup_cosine", options={"warmup": 0})

    def train(epochs: int, trace: str) -> list[float]:
        context = context_for(tmp_path, trainer={"max_epochs": epochs})
        context.training = replace(context.training, scheduler=cosine)
        run_toy(context, trace=Trace(tmp_path / trace))
        return [float.fromhex(record[4]) for record in read_trace(tmp_path / trace)]

    def curve(total: int, steps: range) -> list[float]:  # the trace sees the rate after a step
        return [0.005 * (1 + math.cos(math.pi * step / total)) for step in steps]

    assert train(1, "first") == pytest.approx(curve(6, range(1, 7)))
    assert train(3, "second") == pytest.approx(curve(18, range(7, 19)))


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


def test_checkpoints_do_not_pass_through_the_folder_for_temporary_files(tmp_path, monkeypatch):
    def refused(*arguments, **options):
        raise AssertionError("a temporary file elsewhere")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    run_toy(context_for(tmp_path))
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=False)["state_dict"]
