"""``trainer.sync_batchnorm`` reaches torch's layers and those of plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from espnet3_core.errors import UserError
from espnet3_core.train import stage
from espnet3_core.train.synchronization import LayerSync
from torch import nn
from toy_training import ToyContext, ToyModel, toy_config


class Counting(nn.Module):
    synchronized = False


@pytest.mark.parametrize("wanted", [True, False])
def test_the_trainer_synchronises_what_can_be(tmp_path: Path, wanted: bool) -> None:
    config = toy_config(trainer={"strategy": "ddp", "devices": 2, "sync_batchnorm": wanted})
    context = cast(Any, ToyContext(tmp_path, config))
    trainer = stage.build_trainer(context, config, stage.trainer_arguments(config), None)
    assert isinstance(trainer.strategy._layer_sync, LayerSync) == wanted


def test_layers_are_switched_on_and_off() -> None:
    model = LayerSync().apply(nn.Sequential(Counting(), nn.BatchNorm1d(3), nn.Linear(3, 3)))
    assert model[0].synchronized
    assert isinstance(model[1], nn.SyncBatchNorm)
    model = LayerSync().revert(model)
    assert not model[0].synchronized
    assert not isinstance(model[1], nn.SyncBatchNorm)


def test_a_rank_does_not_split_its_batch_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = toy_config(trainer={"strategy": "ddp", "devices": 2, "sync_batchnorm": True})
    context = cast(Any, ToyContext(tmp_path, config))
    module = stage.module_class(config)(ToyModel(), config)
    module.trainer = stage.build_trainer(context, config, stage.trainer_arguments(config), None)
    monkeypatch.setattr(module.memory, "_whole_or_none", lambda batch: None)
    with pytest.raises(UserError, match="cannot split its batch alone with this strategy or with sync_batch"):
        module.memory.step({"ids": ["utt1", "utt2"]})
