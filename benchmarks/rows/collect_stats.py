"""The stage collect_stats on 1,000 FLAC files of 3 s: from the command to its end."""

from __future__ import annotations

import shutil

import stages
from work import Case, Row, Setting, Work

COUNT = 1000


def ours(case: str, setting: Setting) -> Work:
    """Lengths, and mean and deviation of log-mel features."""
    folder = setting.exchange / "ours"
    command = [*stages.ours_on_flac(folder, setting.folder, COUNT), "--stages", "collect_stats", "--force"]

    def run() -> None:
        shutil.rmtree(folder / "exp/training/stats", ignore_errors=True)
        stages.run(command, folder)
        assert list(folder.glob("exp/training/stats/*/features.npz"))

    return Work(run, COUNT, "utterances")


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet3's stage of the same name, with the model of its mini_an4 recipe."""
    folder = stages.espnet3_on_flac(setting.exchange / "espnet", setting.folder, COUNT)

    def run() -> None:
        shutil.rmtree(folder / "exp", ignore_errors=True)
        stages.run(stages.espnet3("collect_stats"), folder)
        assert list(folder.rglob("feats_stats.npz")) or list(folder.rglob("*stats*"))

    return Work(run, COUNT, "utterances")


ROW = Row(
    title="stage collect_stats on 1,000 utterances of 3 s, start-up included",
    cases=(Case("the stage", bar=0.1, repeats=3),),
    sides={"ours": ours, "espnet": espnet},
)
