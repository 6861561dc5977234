"""A recipe trains a generator against a discriminator, on frames of speech, from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "recipe.yaml": "name: restoring\nsystem: {_target_: src.system.SYSTEM}\n",
    "src/system.py": """
        from espnet3_core.recipe.stages import TRAIN
        from espnet3_core.specs import SystemSpec

        SYSTEM = SystemSpec(name="recipe/restoring", stages=(TRAIN,))
    """,
    "src/gan.py": '''
        import torch
        from torch import nn

        class Restorer(nn.Module):
            """Removes noise from frames of 200 samples; a discriminator tells them from clean ones."""

            def __init__(self):
                super().__init__()
                self.generator = nn.Sequential(nn.Linear(200, 64), nn.ReLU(), nn.Linear(64, 200))
                self.discriminator = nn.Sequential(nn.Linear(200, 32), nn.ReLU(), nn.Linear(32, 1))

            def forward(self, speech, speech_lengths, *, turn, shared):
                if "restored" not in shared:
                    clean = speech[:, : speech.shape[1] // 200 * 200].unflatten(1, (-1, 200))
                    heard = torch.arange(clean.shape[1]) < speech_lengths[:, None] // 200
                    shared["clean"] = clean = clean[heard]
                    shared["restored"] = self.generator(clean + 0.1 * torch.randn_like(clean))
                clean, restored = shared["clean"], shared["restored"]
                if turn == "discriminator":
                    real, fake = self.discriminator(clean), self.discriminator(restored)
                    return {"loss": (real - 1).square().mean() + fake.square().mean()}
                distance = (restored - clean).abs().mean()
                deceived = (self.discriminator(restored) - 1).square().mean()
                return {"loss": 10 * distance + deceived, "distance": distance}
    ''',
    "src/watch.py": '''
        import hashlib
        from espnet3_core.train.alternating import AlternatingModule

        class Watched(AlternatingModule):
            """Writes down, for each turn, whether either side's weights and waiting gradients changed."""

            def _learn(self, turn, loss, *, step):
                before = self.sides()
                super()._learn(turn, loss, step=step)
                moved = [name for name, digest in self.sides().items() if digest != before[name]]
                with open("turns.txt", "a") as stream:
                    stream.write(f"{turn.name}: {' '.join(moved)}\\n")

            def sides(self):
                found = {}
                for name in ("generator", "discriminator"):
                    digest = hashlib.sha256()
                    for value in getattr(self.model, name).parameters():
                        digest.update(value.detach().numpy().tobytes())
                        digest.update(b"" if value.grad is None else value.grad.numpy().tobytes())
                    found[name] = digest.hexdigest()
                return found
    ''',
}
TRAINING = """\
dataset:
  sample_rate: 8000
  train: {{name: core/manifest, path: {manifest}, where: {{split: valid}}}}
  valid: {{name: core/manifest, path: {manifest}, where: {{split: test}}}}
model: {{_target_: src.gan.Restorer}}
module: {{_target_: src.watch.Watched}}
batch: {{size: 8}}
checkpoint: {{best: [{{monitor: valid/generator/distance, keep: 2}}]}}
trainer: {{max_epochs: 3, accelerator: cpu, log_every_n_steps: 1}}
optimizers:
  {first}: {{parameters: ["{first}.*"], optimizer: {{name: core/adamw, lr: 2e-3}}, accumulate: 2, clip: 5.0}}
  {second}: {{parameters: ["{second}.*"], optimizer: {{name: core/adamw, lr: 2e-3}}}}
"""


@pytest.mark.parametrize("first", ["generator", "discriminator"])
def test_a_turn_moves_its_own_side_only_whichever_comes_first(tmp_path: Path, first: str) -> None:
    second = "discriminator" if first == "generator" else "generator"
    manifest = ROOT / "recipes/fsdd/asr/sample/manifest.tsv"
    training = TRAINING.format(manifest=manifest, first=first, second=second)
    for name, text in {**FILES, "conf/training.yaml": training}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")

    for verb in ("check", "run"):
        command = [sys.executable, "-m", "espnet3_core", verb]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert f"optimizer {first}: AdamW" in done.stderr
    assert "steps of 2 batches" in done.stderr

    turns = (tmp_path / "turns.txt").read_text().splitlines()
    assert turns == [f"{first}: {first}", f"{second}: {second}"] * (len(turns) // 2)
    experiment = tmp_path / "exp/training"
    records = [json.loads(line) for line in (experiment / "metrics.jsonl").read_text().splitlines()]
    epochs = [record for record in records if record["kind"] == "epoch"]
    batches = len(turns) // 2 // 3
    rounds = (batches + 1) // 2
    assert [record["step"] for record in epochs] == [rounds, 2 * rounds, 3 * rounds]
    assert epochs[-1][f"updates/{first}"] == 3 * rounds
    assert epochs[-1][f"updates/{second}"] == 3 * batches
    distances = [record["valid/generator/distance"] for record in epochs]
    assert distances[-1] < distances[0]
    assert (experiment / "checkpoints/average.safetensors").exists()
