import logging
import math

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_core.train import schedules
from espnet3_core.train.config import (
    OneCycleConfig,
    ReduceOnPlateauConfig,
    WarmupCosineConfig,
    WarmupInverseSqrtConfig,
    WarmupLinearConfig,
)
from espnet3_core.train.schedules import ReduceOnPlateau, resolve_steps
from torch.optim import SGD

PEAK = 0.4


def make(factory, config, total=100, per_epoch=10):
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    return optimizer, factory(config, optimizer=optimizer, total_steps=total, steps_per_epoch=per_epoch)


def rates(optimizer, scheduler, count):
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_inverse_square_root_is_that_of_the_transformer():
    found = rates(*make(schedules.warmup_inverse_sqrt, WarmupInverseSqrtConfig(warmup=16)), 64)
    assert found[15] == pytest.approx(PEAK)
    assert found == pytest.approx([PEAK * 4 * min(n**-0.5, n * 16**-1.5) for n in range(1, 65)])


def test_linear():
    found = rates(*make(schedules.warmup_linear, WarmupLinearConfig(warmup=9, final=0.1)), 101)
    assert found[:10] == pytest.approx([PEAK * n / 10 for n in range(1, 11)])
    assert found[9] == pytest.approx(PEAK)
    assert found[100] == pytest.approx(0.1 * PEAK)
    steps = [a - b for a, b in zip(found[9:100], found[10:101], strict=True)]
    assert steps == pytest.approx([PEAK * 0.9 / 91] * 91)


def test_cosine_after_warmup_is_torchs_cosine_annealing():
    found = rates(*make(schedules.warmup_cosine, WarmupCosineConfig(warmup=0.2, final=0.25)), 100)
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=80, eta_min=0.25 * PEAK)
    assert found[20:] == pytest.approx(rates(optimizer, reference, 80))
    assert found[:20] == pytest.approx([PEAK * n / 21 for n in range(1, 21)])


def test_one_cycle_is_torchs():
    found = rates(*make(schedules.one_cycle, OneCycleConfig(warmup=0.3, start=1 / 25, final=1 / 25e4)), 100)
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    reference = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=100, cycle_momentum=False)
    assert found == pytest.approx(rates(optimizer, reference, 99) + [PEAK / 25e4])


def test_plateau_is_torchs():
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    config = ReduceOnPlateauConfig(monitor="valid/acc", mode="max", patience=1, factor=0.5, min_lr=0.1)
    scheduler = ReduceOnPlateau(config, optimizer=optimizer)
    seen = []
    for value in (1.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0):
        scheduler.step(value)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx([0.4, 0.4, 0.4, 0.2, 0.2, 0.1, 0.1, 0.1])
    assert (scheduler.monitor, scheduler.interval) == ("valid/acc", "epoch")


@pytest.mark.parametrize(
    ("value", "steps"),
    [
        (25, 25),
        (0, 0),
        ("2 epochs", 20),
        ("0.5 epoch", 5),
        ("1 epoch", 10),
        ("30 steps", 30),
        (0.1, 20),
        (1.0, 200),
    ],
)
def test_warmup_in_steps_epochs_and_fractions(value, steps):
    assert resolve_steps(value, total_steps=200, steps_per_epoch=10) == steps


@pytest.mark.parametrize("value", ["two epochs", -1, 1.5, -0.1, "", True])
def test_what_is_not_a_warmup(value):
    with pytest.raises(UserError, match=r"training\.scheduler\.warmup: .* is not a length"):
        resolve_steps(value, total_steps=200, steps_per_epoch=10)


def test_a_fraction_of_an_endless_training():
    with pytest.raises(UserError, match=r"max_epochs or trainer\.max_steps"):
        resolve_steps(0.1, total_steps=math.inf, steps_per_epoch=10)


def test_a_warmup_longer_than_training_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        make(schedules.warmup_inverse_sqrt, WarmupInverseSqrtConfig(warmup=25000), total=90)
    assert "the warm-up lasts 25000 steps and training 90" in caplog.text


def test_a_longer_training_follows_its_own_curve():
    optimizer, scheduler = make(schedules.warmup_linear, WarmupLinearConfig(warmup=0))
    before = rates(optimizer, scheduler, 50)
    longer, continued = make(schedules.warmup_linear, WarmupLinearConfig(warmup=0), total=200)
    continued.load_state_dict(scheduler.state_dict())
    assert before[-1] == pytest.approx(PEAK * 0.51)
    assert rates(longer, continued, 150) == pytest.approx([PEAK * (200 - n) / 200 for n in range(50, 200)])
