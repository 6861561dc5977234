"""From the command to the first training step: mini_an4's Transformer on the same utterances."""

from __future__ import annotations

import shutil

import stages
from work import Case, Row, Setting, Work


def ours(case: str, setting: Setting) -> Work:
    """Our AN4 recipe, sanity validation included."""
    folder = setting.exchange / "ours"
    command = [*stages.an4(folder), "--stages", "train"]
    experiment = folder / "exp/training_mini_transformer"

    def run() -> float:
        shutil.rmtree(experiment / "checkpoints")
        (experiment / "stages/train.json").unlink()
        return stages.until(command, folder, b"epoch 0 step 1")

    return Work(run)


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet3's mini_an4."""
    folder = stages.mini_an4()

    def run() -> float:
        shutil.rmtree(folder / "exp/training_asr_transformer", ignore_errors=True)
        return stages.until(stages.espnet3("train"), folder, b"Epoch 0: 100%")

    return Work(run)


ROW = Row(
    title="launch to the first training step (the value), and to the end of the command (the time)",
    cases=(Case("mini_an4"),),
    sides={"ours": ours, "espnet": espnet},
)
