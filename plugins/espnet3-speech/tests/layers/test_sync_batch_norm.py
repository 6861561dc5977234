"""Two gloo processes with ``trainer.sync_batchnorm`` are one with the joined batch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys, tempfile
from pathlib import Path
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import distributed, multiprocessing, nn
from espnet3_core.train.synchronization import LayerSync
from espnet3_speech.layers.batch_norm import MaskedBatchNorm
from espnet3_speech.masks import valid_mask

LENGTHS = [[7, 3], [5, 1, 2]]


def make(dtype):
    torch.manual_seed(0)
    norm = MaskedBatchNorm(4).to(dtype)
    nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    parts = [
        (torch.randn(len(each), 7, 4, dtype=dtype) * 3 + 2, valid_mask(torch.tensor(each), 7)[..., None])
        for each in LENGTHS
    ]
    aims = [torch.randn(len(lengths), 7, 4, dtype=dtype) for lengths in LENGTHS]
    return norm, parts, aims


def loss_of(norm, values, valid, aim):
    return ((norm(values, valid) - aim).square() * valid).sum()


def rank_main(rank, file, out, dtype):
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    norm, parts, aims = make(dtype)
    model = LayerSync().apply(nn.Sequential(norm, nn.BatchNorm1d(4)))
    assert model[0] is norm and norm.synchronized and type(model[1]) is nn.SyncBatchNorm
    (values, valid), aim = parts[rank], aims[rank]
    values.requires_grad_()
    parallel = nn.parallel.DistributedDataParallel(norm)
    for _ in range(2):
        norm.zero_grad()
        values.grad = None
        loss_of(parallel, values, valid, aim).backward()
    kept = [values.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]
    torch.save(kept, f"{out}{rank}")
    assert not LayerSync().revert(nn.Sequential(norm))[0].synchronized


def check(folder, dtype, bar):
    arguments = (str(folder / f"store{dtype}"), str(folder / f"{dtype}"), dtype)
    multiprocessing.start_processes(rank_main, arguments, nprocs=2, start_method="fork")
    norm, parts, aims = make(dtype)
    values = torch.cat([part[0] for part in parts]).requires_grad_()
    valid, aim = torch.cat([part[1] for part in parts]), torch.cat(aims)
    for _ in range(2):
        norm.zero_grad()
        values.grad = None
        loss_of(norm, values, valid, aim).backward()
    ranks = [torch.load(f"{folder}/{dtype}{rank}") for rank in (0, 1)]
    close = lambda a, b: torch.testing.assert_close(a, b, rtol=bar, atol=bar)
    close(torch.cat([rank[0] for rank in ranks]), values.grad)
    for rank in ranks:
        close(rank[1] * 2, norm.weight.grad)  # DDP's mean over ranks of a loss that is a sum
        close(rank[2] * 2, norm.bias.grad)
        close(rank[3], norm.running_mean)
        close(rank[4], norm.running_var)


check(Path(sys.argv[1]), torch.float64, 1e-12)
check(Path(sys.argv[1]), torch.float32, 1e-5)
"""


def test_two_processes_are_one_with_the_joined_batch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
