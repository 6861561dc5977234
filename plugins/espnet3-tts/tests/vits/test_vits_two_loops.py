"""VITS trained by a recipe ends with the weights of two loops in plain PyTorch, one for each side.

The loops share the parts of the model with it, and nothing else: latents, alignment, pieces and all losses
are written out anew, gradients are asked for one side at a time and kept in lists of their own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from espnet3_core.component import Component, Slot
from espnet3_core.recipe.run import run
from espnet3_core.train.randomness import seed_everything
from espnet3_tts.text.characters import Characters
from espnet3_tts.text.config import CharactersConfig
from torch.distributions import Normal
from toy_vits import SIZES, as_node

SAMPLE = Path(__file__).parents[4] / "recipes/fsdd/asr/sample/manifest.tsv"
LR, BETAS = 1e-3, (0.8, 0.99)
SPY = '''
import torch
from lightning.pytorch import Callback

class Spy(Callback):
    """Keeps the weights before and after training, and all batches."""

    def __init__(self, experiment):
        self.path, self.epochs = experiment / "seen.pt", []

    def on_train_start(self, trainer, module):
        self.before = {name: value.clone() for name, value in module.model.state_dict().items()}

    def on_train_epoch_start(self, trainer, module):
        self.epochs.append([])

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.epochs[-1].append({key: value for key, value in batch.items() if torch.is_tensor(value)})

    def on_train_end(self, trainer, module):
        after = module.model.state_dict()
        torch.save({"before": self.before, "epochs": self.epochs, "after": after}, self.path)
'''


def trained(folder: Path, order: tuple[str, str], accumulate: dict[str, int]) -> dict[str, Any]:
    """What the spy has seen of a training by the recipe's own stages."""
    data = {
        "name": "core/manifest",
        "path": str(SAMPLE),
        "where": {"speaker": ["flite-slt"], "split": "train"},
    }
    sides = {
        side: {
            "parameters": [f"{side}.*"],
            "optimizer": {"name": "core/adamw", "lr": LR, "betas": list(BETAS)},
            "accumulate": accumulate[side],
        }
        for side in order
    }
    training = {
        "seed": 3,
        "dataset": {"sample_rate": 8000, "train": data, "valid": data},
        "tokenizer": {"name": "tts/characters"},
        "model": {"name": "tts/vits", **as_node()},
        "optimizers": sides,
        "batch": {"size": 3},
        "callbacks": [{"_target_": "src.spy.Spy"}],
        "checkpoint": {"best": [{"monitor": "valid/generator/mel", "keep": 1}]},
        "trainer": {
            "max_epochs": 2, "accelerator": "cpu", "precision": "64-true", "num_sanity_val_steps": 0,
            "limit_train_batches": 4, "limit_val_batches": 1,
        },
    }  # fmt: skip
    files = {
        "recipe.yaml": "name: digits/tts\nsystem: tts/synthesis\n",
        "conf/training.yaml": json.dumps(training),
        "src/spy.py": SPY,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run(folder, stages=["train_tokenizer", "collect_stats", "train"])
    seen: dict[str, Any] = torch.load(folder / "exp/training/seen.pt")
    return seen


def best_path(scores: np.ndarray) -> list[int]:
    """The token of each frame on the best monotonic way, by dynamic programming frame by frame."""
    frames, tokens = scores.shape
    best = np.full((frames, tokens), -np.inf)
    best[0, 0] = scores[0, 0]
    for t in range(1, frames):
        best[t, 0] = best[t - 1, 0] + scores[t, 0]
        best[t, 1:] = scores[t, 1:] + np.maximum(best[t - 1, 1:], best[t - 1, :-1])
    path = [tokens - 1]
    for t in range(frames - 1, 0, -1):
        n = path[-1]
        path.append(n - 1 if n and best[t - 1, n - 1] > best[t - 1, n] else n)
    return path[::-1]


def made(model: Any, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Pieces, their copies, and the losses of the way there, utterance by utterance."""
    voice, segment, hop = model.generator, SIZES["segment"], model.features.hop
    speech, counts, tokens = batch["speech"].double(), batch["speech_lengths"] // 64, batch["text_lengths"]
    with torch.no_grad():
        spectrogram = model.features.linear(speech, batch["speech_lengths"])[0]
    mask = (torch.arange(int(counts.max())) < counts[:, None]).unsqueeze(1).double()
    prior = voice.read(batch["text"], tokens)
    mean, log_std = voice.posterior(spectrogram.transpose(1, 2), mask)
    noise = torch.randn(len(speech), int(counts.max()), mean.shape[1], dtype=torch.float64)
    latent = (mean + noise.transpose(1, 2) * log_std.exp()) * mask
    moved = voice.flow(latent, mask)
    durations, divergences = torch.zeros(tokens.shape[0], int(tokens.max()), dtype=torch.long), []
    for row, (frames, length) in enumerate(zip(counts.tolist(), tokens.tolist(), strict=True)):
        z = moved[row, :, :frames].T
        normal = Normal(prior.mean[row, :length], prior.log_std[row, :length].exp())
        path = best_path(normal.log_prob(z.unsqueeze(1)).sum(-1).detach().numpy())
        durations[row, :length] = torch.bincount(torch.tensor(path), minlength=length)
        m, s = prior.mean[row, path], prior.log_std[row, path]
        own = log_std[row, :, :frames].T
        divergences.append((s - own - 0.5 + 0.5 * ((z - m) / s.exp()) ** 2).sum() / frames)
    lasting = voice.duration(prior.hidden.detach(), tokens, durations).sum() / len(tokens)
    share = torch.rand(len(speech), dtype=torch.float64)
    real, copies = [], []
    for row, frames in enumerate(counts.tolist()):
        start = min(int(share[row] * (max(frames - segment, 0) + 1)), max(frames - segment, 0))
        end = min(start + segment, frames)
        missing = segment - (end - start)
        piece = speech[row, start * hop : end * hop]
        real.append(torch.nn.functional.pad(piece, (0, missing * hop)))
        copies.append(torch.nn.functional.pad(latent[row, :, start:end], (0, missing)).T)
    return {
        "real": torch.stack(real),
        "copy": voice.decoder(torch.stack(copies)),
        "others": sum(divergences) / len(divergences) + lasting,
    }


def loss_of(side: str, model: Any, made: dict[str, Any]) -> Any:
    real, copy, judge = made["real"], made["copy"], model.discriminator
    if side == "discriminator":
        pairs = zip(judge(real), judge(copy.detach()), strict=True)
        return sum(((1 - a.scores) ** 2).mean() + (b.scores**2).mean() for a, b in pairs)
    said, heard = judge(copy), judge(real)
    deceived = sum(((1 - one.scores) ** 2).mean() for one in said)
    hidden = sum(
        (a.detach() - b).abs().mean()
        for one, other in zip(heard, said, strict=True)
        for a, b in zip(one.features, other.features, strict=True)
    )
    lengths = torch.full((len(real),), real.shape[1])
    apart = model.features(copy, lengths).mel - model.features(real, lengths).mel
    return deceived + 2 * hidden + 45 * apart.abs().mean() + made["others"]


def looped(seen: dict[str, Any], order: tuple[str, str], accumulate: dict[str, int]) -> Any:
    """The model after the two loops."""
    tokenizer = Characters(CharactersConfig())
    node = {"name": "tts/vits", **as_node()}
    model = Component.from_node(node, Slot("model")).build(
        vocab_size=len(tokenizer), sample_rate=8000, tokenizer=tokenizer
    )
    model.double().train().load_state_dict(seen["before"])
    weights = {side: list(getattr(model, side).parameters()) for side in order}
    optimizers = {
        side: torch.optim.AdamW(weights[side], lr=LR, betas=BETAS, foreach=False, fused=False)
        for side in order
    }
    for epoch, batches in enumerate(seen["epochs"]):
        waiting: dict[str, Any] = dict.fromkeys(order)
        for number, batch in enumerate(batches, 1):
            seed_everything(3, "train", epoch, number - 1, 0)
            once = made(model, batch)
            for side in order:
                loss = loss_of(side, model, once) / accumulate[side]
                found = torch.autograd.grad(loss, weights[side], retain_graph=True)
                before = waiting[side] or [torch.zeros_like(value) for value in found]
                waiting[side] = [a + b for a, b in zip(before, found, strict=True)]
                if number % accumulate[side] and number < len(batches):
                    continue
                for parameter, gradient in zip(weights[side], waiting[side], strict=True):
                    parameter.grad = gradient
                optimizers[side].step()
                waiting[side] = None
    return model


MORE = [pytest.param(each, marks=pytest.mark.slow) for each in ((1, 1), (2, 2), (1, 3))]


@pytest.mark.parametrize("accumulate", [(3, 2), *MORE], ids=str)
@pytest.mark.parametrize("first", ["generator", "discriminator"])
def test_it_is_two_plain_loops(tmp_path, first, accumulate):
    order = (first, {"generator": "discriminator", "discriminator": "generator"}[first])
    steps = dict(zip(("generator", "discriminator"), accumulate, strict=True))
    seen = trained(tmp_path, order, steps)
    assert [len(batches) for batches in seen["epochs"]] == [4, 4]
    model = looped(seen, order, steps)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(seen["after"][name], value, rtol=0, atol=1e-10, msg=name)
    moved = {
        side: max(
            float((value - seen["before"][name]).abs().max())
            for name, value in seen["after"].items()
            if name.startswith(side)
        )
        for side in order
    }
    assert min(moved.values()) > 1e-3
