"""A recipe whose model tells, for each utterance, what it heard: enough to see who was decoded how."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

FILES = {
    "recipe.yaml": "name: toy\nsystem: {_target_: src.system.SYSTEM}\n",
    "src/system.py": """
        from espnet3_core.recipe.stages import INFER
        from espnet3_core.specs import SystemSpec

        SYSTEM = SystemSpec(name="recipe/toy", stages=(INFER,))
    """,
    "src/data.py": """
        import hashlib
        import numpy as np
        from espnet3_core.errors import UserError

        class Tones:
            def __init__(self, seconds, broken=()):
                self.seconds, self.broken = list(seconds), set(broken)

            def __len__(self):
                return len(self.seconds)

            def ids(self):
                return [f"u{index:03d}" for index in range(len(self))]

            def lengths(self):
                return self.seconds

            def __getitem__(self, index):
                if index in self.broken:
                    raise UserError(f"u{index:03d}.wav: not audio")
                speech = np.full(round(self.seconds[index] * 100), float(index), np.float32)
                return {"id": f"u{index:03d}", "speech": speech, "text": "a b"}

            def fingerprint(self):
                return hashlib.sha256(repr((self.seconds, self.broken)).encode()).hexdigest()
    """,
    "src/model.py": """
        import os
        import signal
        from pathlib import Path

        import torch
        from espnet3_core.errors import UserError

        class Echo(torch.nn.Module):
            def __init__(self, recipe_dir, most=1000, refuse="", odd=""):
                super().__init__()
                self.gain = torch.nn.Parameter(torch.ones(1))
                self.folder, self.most, self.refuse, self.odd = Path(recipe_dir), most, refuse, odd
                self.batch_invariant = odd != "alone"

            def infer(self, batch):
                ids = batch["ids"]
                with open(self.folder / "seen.txt", "a") as stream:
                    stream.write(f"{os.getpid()} {' '.join(ids)}\\n")
                if len(ids) > self.most:
                    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
                if self.refuse in ids:
                    raise UserError("no hypothesis")
                if (self.folder / "kill").exists() and (self.folder / "kill").read_text() in ids:
                    os.kill(os.getpid(), signal.SIGKILL)
                if (self.folder / "kill_once").exists():
                    (self.folder / "kill_once").unlink()
                    os.kill(os.getpid(), signal.SIGKILL)
                if (self.folder / "stop_after").exists():
                    if len((self.folder / "seen.txt").read_text().splitlines()) > 2:
                        raise KeyboardInterrupt
                assert not self.training and not torch.is_grad_enabled()
                speech, lengths = batch["speech"], batch["speech_lengths"]
                texts = [
                    f"{(speech[i, : lengths[i]].mean() * self.gain).item():.0f}x{lengths[i].item()}"
                    for i in range(len(ids))
                ]
                if self.odd == "short":
                    return [{}]
                if self.odd == "newline":
                    texts = ["a\\nb\\\\" for _ in texts]
                return [{"text": text, "score": self.gain * float("nan")} for text in texts]
    """,
    "conf/training.yaml": """
        dataset:
          sample_rate: 100
          train: {_target_: src.data.Tones, seconds: [1.0]}
        model: {_target_: src.model.Echo}
    """,
    "conf/inference.yaml": """
        checkpoint: weights.safetensors
        batch: {seconds: 6.0}
        test_sets:
          short: {_target_: src.data.Tones, seconds: [1.0, 3.0, 2.0, 1.0, 3.0]}
          long: {_target_: src.data.Tones, seconds: [5.0, 0.5]}
    """,
}


@pytest.fixture
def make_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes the recipe with weights, with additions to the model, the inference YAML or a test set."""

    def make(model: str = "", inference: str = "", gain: float = 1.0) -> Path:
        import torch
        from espnet3_core.train.checkpoints import save_weights

        recipe = tmp_path / "toy"
        for name, text in FILES.items():
            path = recipe / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        if model:
            file = recipe / "conf/training.yaml"
            file.write_text(file.read_text().replace("src.model.Echo", f"src.model.Echo, {model}"))
        with (recipe / "conf/inference.yaml").open("a") as stream:
            stream.write(textwrap.dedent(inference))
        checkpoints = recipe / "exp/training/checkpoints"
        checkpoints.mkdir(parents=True)
        save_weights(checkpoints / "weights.safetensors", {"gain": torch.tensor([gain])}, {})
        (recipe / "exp/training/config").mkdir()
        (recipe / "exp/training/config/training.yaml").write_text((recipe / "conf/training.yaml").read_text())
        return recipe

    return make
