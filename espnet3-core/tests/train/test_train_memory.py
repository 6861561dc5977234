"""Batches that do not fit are split, and count as one: gradients against the whole batch's."""

from __future__ import annotations

import copy
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_core.train.memory import halves
from torch import nn
from toy_training import ToyContext, Trace, read_trace, run_toy, toy_config


class Small(RuntimeError):
    pass


class Limited(nn.Module):
    """A model whose allocator fails beyond some padded frames; its loss is a mean over frames."""

    def __init__(self, most: int, where: str = "forward", kind: type[Exception] = torch.OutOfMemoryError):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        self.most, self.where, self.kind = most, where, kind
        self.seen: list[tuple[int, int]] = []

    def forward(self, speech, speech_lengths):
        frames = speech.numel()
        if self.where == "forward" and frames > self.most:
            raise self.kind("CUDA out of memory. Tried to allocate 20.00 MiB")
        if torch.is_grad_enabled():
            self.seen.append(tuple(speech.shape))
        mask = torch.arange(speech.shape[1]) < speech_lengths[:, None]
        values = self.net(speech[..., None]).squeeze(-1)
        if self.where == "backward" and torch.is_grad_enabled():
            values = Failing.apply(values, frames > self.most)
        error = (values - 1).square()[mask]
        return {"loss": error.mean(), "frames": error.mean() * 2, "weight": mask.sum()}


class Failing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, fail):
        ctx.fail = fail
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        if ctx.fail:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return gradient, None


LENGTHS = [[9, 8, 7, 5], [3, 3, 2, 1], [6, 6, 4, 2]]


def batches():
    generator = torch.Generator().manual_seed(1)
    for number, lengths in enumerate(LENGTHS):
        speech = torch.zeros(len(lengths), max(lengths))
        for row, length in zip(speech, lengths, strict=True):
            row[:length] = torch.randn(length, generator=generator)
        ids = [f"utt{number}{index}" for index in range(len(lengths))]
        yield {"ids": ids, "speech": speech, "speech_lengths": torch.tensor(lengths)}


class Data(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(list(batches()))

    def __len__(self):
        return len(LENGTHS)


def fit(tmp_path, model, monkeypatch, accumulate=1, **trainer):
    """Weights and epoch means after one epoch of plain SGD on the three batches."""
    import toy_training
    from espnet3_core.component import Component

    def loader(self):
        return torch.utils.data.DataLoader(Data(), batch_size=None)

    monkeypatch.setattr(toy_training.ToyData, "train_dataloader", loader)
    monkeypatch.setattr(toy_training.ToyData, "val_dataloader", loader)
    config = toy_config(
        optimizer=Component(target="torch.optim.SGD", options={"lr": 0.1}),
        trainer={"max_epochs": 1, "accumulate_grad_batches": accumulate, **trainer},
    )
    module = run_toy(ToyContext(tmp_path, config), model, Trace(tmp_path / "trace"))
    losses = [float.fromhex(line[3]) for line in read_trace(tmp_path / "trace")]
    return module, losses


def reference(model, accumulate=1):
    """The same training in a plain loop, with whole batches."""
    model = copy.deepcopy(model)
    model.most = 10**9
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for number, batch in enumerate(batches(), 1):
        loss = model(batch["speech"], batch["speech_lengths"])["loss"]
        (loss / accumulate).backward()
        losses.append(loss.item())
        if number % accumulate == 0 or number == len(LENGTHS):
            optimizer.step()
            optimizer.zero_grad()
    return model, losses


@pytest.mark.parametrize(
    ("most", "accumulate", "kind"),
    [
        (10**9, 1, MemoryError),
        (20, 1, MemoryError),
        (9, 1, torch.OutOfMemoryError),
        (20, 2, torch.OutOfMemoryError),
        (9, 3, torch.OutOfMemoryError),
    ],
)
def test_a_split_batch_has_the_gradient_and_the_loss_of_the_whole(
    tmp_path, monkeypatch, most, accumulate, kind
):
    torch.manual_seed(0)
    model = Limited(most, kind=kind)
    expected, losses = reference(model, accumulate)
    module, found = fit(tmp_path, model, monkeypatch, accumulate)
    assert found == pytest.approx(losses, rel=1e-5)
    for one, other in zip(module.model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert all(rows * frames <= most for rows, frames in module.model.seen)
    assert (module.memory.split > 0) == (most < 36)
    assert module.trainer.callback_metrics["train/frames"].item() == pytest.approx(
        2 * module.trainer.callback_metrics["train/loss"].item(), rel=1e-5
    )
    assert torch.isfinite(module.trainer.callback_metrics["valid/loss"])


def test_memory_that_runs_out_in_the_backward_pass(tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = Limited(20, where="backward")
    expected, losses = reference(model)
    module, found = fit(tmp_path, model, monkeypatch)
    assert found == pytest.approx(losses, rel=1e-5)
    for one, other in zip(module.model.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert module.memory.split == 2  # batches of 36 and of 24 frames


def test_backward_in_the_middle_of_an_accumulation_cannot_be_repeated(tmp_path, monkeypatch):
    model = Limited(20, where="backward")
    monkeypatch.setitem(globals(), "LENGTHS", [LENGTHS[1], LENGTHS[0]])
    with pytest.raises(
        UserError, match=r"out of memory with 4 utterances of lengths 9, 8, 7, 5 \(utt10"
    ) as e:
        fit(tmp_path, model, monkeypatch, accumulate=2)
    assert "gradients of other micro-batches" in str(e.value) and "batch.seconds" in str(e.value)


def test_lengths_and_ids_are_named_once(tmp_path, monkeypatch, caplog):
    with caplog.at_level(logging.WARNING):
        fit(tmp_path, Limited(9), monkeypatch)
    (line,) = [record.message for record in caplog.records if "out of memory" in record.message]
    assert "4 utterances of lengths 9, 8, 7, 5 (utt00, utt01, utt02, utt03)" in line


def test_one_utterance_that_does_not_fit_alone_is_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"out of memory with 1 utterances of lengths 9 \(utt00\), alone"):
        fit(tmp_path, Limited(8), monkeypatch)


def test_other_errors_pass(tmp_path, monkeypatch):
    class Broken(Limited):
        def forward(self, speech, speech_lengths):
            raise Small("something else")

    with pytest.raises(Small):
        fit(tmp_path, Broken(8), monkeypatch)


def test_halves_keep_every_item_and_are_padded_no_further_than_needed():
    batch = next(batches()) | {"rate": 16000, "text": ["a", "b", "c", "d"], "table": torch.zeros(9, 9)}
    first, second = halves(batch)
    assert first["ids"] + second["ids"] == batch["ids"] and second["text"] == ["c", "d"]
    assert second["speech"].shape == (2, 7) and first["speech"].shape == (2, 9)
    assert torch.equal(second["speech"], batch["speech"][2:, :7])
    assert second["rate"] == 16000 and second["table"].shape == (9, 9)
    (alone,) = halves(halves(first)[0])
    assert alone["ids"] == ["utt00"]


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from toy_training import ToyContext, ToyModel, run_toy, toy_config
from espnet3_core.component import Component

class Uneven(ToyModel):
    # Dropout would differ between a batch and its parts.
    def __init__(self, most):
        super().__init__()
        self.encoder[2].p = 0.0
        self.most = most
    def forward(self, inputs, targets):
        rank = torch.distributed.get_rank()
        if rank == 1 and len(inputs) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().forward(inputs, targets)

def run(directory, most, accumulate):
    directory.mkdir()
    config = toy_config(
        trainer={"strategy": "ddp_fork", "devices": 2, "accumulate_grad_batches": accumulate},
        optimizer=Component(target="torch.optim.SGD", options={"lr": 0.01}),
    )
    torch.manual_seed(0)
    run_toy(ToyContext(directory, config), Uneven(most))
    return torch.load(directory / "checkpoints/last.ckpt", weights_only=False)["state_dict"]

base = Path(sys.argv[2])
for accumulate in (1, 2):
    whole = run(base / f"whole{accumulate}", 99, accumulate)
    parts = run(base / f"parts{accumulate}", 1, accumulate)
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], rtol=1e-5, atol=1e-6)
print("equal")
"""


def test_a_rank_that_splits_alone_stays_in_step(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path)]
    process = subprocess.run(command, timeout=300, check=False, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.endswith("equal\n")
    assert "out of memory with" in process.stderr
