"""Every component that core registers passes the conformance kit."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from espnet3_core.testing import (
    CallbackConformance,
    CollatorConformance,
    DatasetConformance,
    ExecutorConformance,
    OptimizerConformance,
    PluginConformance,
    PublisherConformance,
    SchedulerConformance,
    TransformConformance,
)
from espnet3_core.testing.speech import sample_speech

MANIFEST = sample_speech().manifest
SAMPLE = MANIFEST.parent


class TestPlugin(PluginConformance):
    namespace = "core"
    complete = True


class TestManifest(DatasetConformance):
    name = "core/manifest"
    config = {"path": str(MANIFEST)}


class TestTar(DatasetConformance):
    name = "core/tar"
    config = {"path": "shard.tar"}

    @pytest.fixture(autouse=True)
    def shard(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "shard.tar", "w") as shard:
            for item in sample_speech().items:
                (tmp_path / "text").write_text(item["text"])
                shard.add(SAMPLE / f"{item['id']}.flac", f"{item['id']}.flac")
                shard.add(tmp_path / "text", f"{item['id']}.txt")


class TestMixture(DatasetConformance):
    name = "core/mixture"
    config = {
        "datasets": {part: {"name": "core/manifest", "path": str(MANIFEST)} for part in ("one", "two")},
        "prefix_ids": True,
    }


class TestSpeed(TransformConformance):
    name = "core/speed"
    config = {"factors": [0.9, 1.0, 1.1]}


class TestGain(TransformConformance):
    name = "core/gain"


class TestNoise(TransformConformance):
    name = "core/noise"
    config = {"path": str(SAMPLE)}
    variants = ({"keep_silence": True},)


class TestRoomResponse(TransformConformance):
    name = "core/room_response"
    config = {"path": str(SAMPLE)}


class TestTextCase(TransformConformance):
    name = "core/text_case"
    items = ({"id": "a", "text": "One Two"}, {"id": "b", "text": ""})
    choices = True


class TestTextClean(TransformConformance):
    name = "core/text_clean"
    items = ({"id": "a", "text": "One, \uff54wo!  It's\u00a0three."}, {"id": "b", "text": ""})
    choices = True


class TestPad(CollatorConformance):
    name = "core/pad"
    variants = ({"values": {"tokens": -100.0}},)


class TestAdamW(OptimizerConformance):
    name = "core/adamw"
    config = {"lr": 0.1}


class TestAdam(OptimizerConformance):
    name = "core/adam"
    config = {"lr": 0.1}


class TestSGD(OptimizerConformance):
    name = "core/sgd"
    config = {"lr": 0.1, "momentum": 0.5}
    variants = ({"nesterov": True},)


class TestWarmupInverseSqrt(SchedulerConformance):
    name = "core/warmup_inverse_sqrt"
    config = {"warmup": 5}


class TestWarmupLinear(SchedulerConformance):
    name = "core/warmup_linear"
    variants = ({"warmup": "1 epoch"},)


class TestWarmupCosine(SchedulerConformance):
    name = "core/warmup_cosine"


class TestOneCycle(SchedulerConformance):
    name = "core/one_cycle"


class TestReduceOnPlateau(SchedulerConformance):
    name = "core/reduce_on_plateau"
    choices = True


class TestTensorBoard(CallbackConformance):
    name = "core/tensorboard"
    packages = ("tensorboard",)


class TestWandb(CallbackConformance):
    name = "core/wandb"
    packages = ("wandb",)
    config = {"mode": "disabled"}


class TestEMA(CallbackConformance):
    name = "core/ema"
    variants = ({"every_steps": 2},)


class TestInProcess(ExecutorConformance):
    name = "core/in_process"


class TestProcesses(ExecutorConformance):
    name = "core/processes"
    config = {"workers": 2}


class TestDirectory(PublisherConformance):
    name = "core/directory"
    config = {"path": "published"}
    variants = ({"overwrite": True},)
