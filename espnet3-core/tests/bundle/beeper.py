"""A synthesizer of one tone per token, and a model that listens as it goes: plugin ``acme``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from espnet3_core.hookspecs import hookimpl
from espnet3_core.infer.audio import Audio
from espnet3_core.specs import ModelSpec, TokenizerSpec
from torch import nn

RATE = 8000


class Letters:
    """Token ids are code points."""

    def __len__(self) -> int:
        return 128

    def save(self, directory: Path) -> None:
        directory.mkdir()
        (directory / "tokens.txt").write_text("ascii\n")

    def load(self, directory: Path) -> None:
        assert (directory / "tokens.txt").read_text() == "ascii\n"

    def encode(self, text: str) -> list[int]:
        return list(text.encode())


class Beeper(nn.Module):
    """0.1 s of a tone per token, at a pitch that is a weight."""

    def __init__(self, *, sample_rate: int, tokenizer: Any) -> None:
        super().__init__()
        self.rate = sample_rate
        self.pitch = nn.Parameter(torch.tensor(5.0))

    def infer(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        found = []
        for ids, count in zip(batch["text"], batch["text_lengths"], strict=True):
            pitch = (ids[:count] * self.pitch).repeat_interleave(self.rate // 10)
            phase = torch.cumsum(pitch / self.rate, 0) * 2 * torch.pi
            audio = Audio((0.1 * torch.sin(phase)).detach().cpu().numpy(), self.rate)
            found.append({"audio": audio, "seconds": 0.1 * int(count)})
        return found


class Counter(nn.Module):
    """Says how many samples it has heard, at every piece."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def infer(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"text": str(int(count))} for count in batch["speech_lengths"]]

    def open_stream(self, sample_rate: int) -> Listener:
        return Listener()


class Listener:
    """The stream of a :class:`Counter`."""

    heard = 0

    def accept(self, samples: np.ndarray) -> dict[str, Any]:
        self.heard += len(samples)
        return {"text": f"{self.heard} …"}

    def finish(self) -> dict[str, Any]:
        return {"text": str(self.heard)}


class Plugin:
    """The plugin's hooks."""

    @staticmethod
    @hookimpl
    def espnet3_models() -> list[ModelSpec]:
        return [
            ModelSpec(name="acme/beeper", target="beeper:Beeper"),
            ModelSpec(name="acme/counter", target="beeper:Counter"),
        ]

    @staticmethod
    @hookimpl
    def espnet3_tokenizers() -> list[TokenizerSpec]:
        return [TokenizerSpec(name="acme/letters", target="beeper:Letters")]
