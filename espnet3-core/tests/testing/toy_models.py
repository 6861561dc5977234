"""A model, an encoder, a search and a collator that are right, or have one fault that is asked for."""

import os
from typing import Any

import torch
from espnet3_core.data.collate import PadCollator
from torch import nn
from toy_parts import Fault, Part


class Model(nn.Module):
    """Classifies the mean of frames; its loss is that of the first token."""

    def __init__(self, config: Fault, *, vocab_size: int, classes: int | None = None) -> None:
        super().__init__()
        self.fault = config.fault
        if self.fault == "bundle" and classes is None:
            raise TypeError("classes is needed")
        self.inner = nn.Linear(1, 4)
        self.out = nn.Linear(4, vocab_size)
        self.shift = torch.rand(1) if self.fault == "state" else 0.0
        self.batch_invariant = self.fault != "alone"

    def logits(self, speech: Any, speech_lengths: Any) -> Any:
        frames = torch.tanh(self.inner(speech.unsqueeze(-1)))
        if self.fault != "padding":
            frames = frames * (torch.arange(speech.shape[1]) < speech_lengths[:, None]).unsqueeze(-1)
        found = self.out(frames.sum(1) / speech_lengths[:, None]) + self.shift
        return found - found.mean(0) if self.fault in ("batch", "alone") else found

    def forward(self, speech: Any, speech_lengths: Any, text: Any) -> Any:
        losses = nn.functional.cross_entropy(
            self.logits(speech, speech_lengths), text[:, 0], reduction="none"
        )
        loss = losses.sum() if self.fault == "sum" else losses.mean()
        if self.fault == "nan":
            loss = loss * torch.nan
        if self.fault == "nan_gradient":
            loss = loss + (self.out.weight * 0).sum().sqrt()
        if self.fault == "zero_gradient":
            loss = loss * 0
        return {"loss": loss.detach() if self.fault == "detached" else loss, "weight": len(speech)}

    def infer(self, batch: Any) -> list[dict[str, Any]]:
        return [{"scores": row} for row in self.logits(batch["speech"], batch["speech_lengths"])]


class Encoder(nn.Module):
    """A linear layer over the mean of all frames, added to each."""

    def __init__(self, config: Fault, *, input_size: int) -> None:
        super().__init__()
        self.fault = config.fault
        self.layer = nn.Linear(input_size, 6)
        self.output_size = 7 if self.fault == "output_size" else 6
        self.shift = torch.rand(1) if self.fault == "state" else 0.0

    def output_lengths(self, lengths: Any) -> Any:
        return lengths - 1 if self.fault == "output_lengths" else lengths

    def forward(self, features: Any, lengths: Any) -> Any:
        valid = (torch.arange(features.shape[1]) < lengths[:, None]).unsqueeze(-1)
        if self.fault != "padding":
            features = features * valid
        mean = features.sum(1, keepdim=True) / lengths[:, None, None]
        found = self.layer(features + mean) + self.shift
        if self.fault == "nan":
            found = found / 0 * 0
        if self.fault == "nan_gradient":
            found = found + (self.layer.weight * 0).sum().sqrt()
        return found, lengths


class Search:
    """The best class of the model."""

    def __init__(self, config: Fault, *, model: Any) -> None:
        self.model, self.fault, self.calls = model, config.fault, 0

    def infer(self, batch: Any) -> list[dict[str, Any]]:
        scores = self.model.logits(batch["speech"], batch["speech_lengths"])
        if self.fault == "batch":
            scores = scores - scores.mean(0)
        if self.fault == "random":
            scores = scores + torch.rand(1)
        found = [{"text": str(int(row.argmax())), "score": row.max().item()} for row in scores]
        if self.fault == "nan":
            found[0]["score"] = float("nan")
        if self.fault == "object":
            found[0]["score"] = object()  # type: ignore[assignment]
        return found[1:] if self.fault == "count" else found


class Collator(Part):
    def __call__(self, items: Any) -> dict[str, Any]:
        if self.fault == "mutates":
            items[0]["speech"][0] = 7
        batch = PadCollator()(items)
        if self.fault == "ids":
            batch["ids"] = batch["ids"][::-1]
        if self.fault == "front":
            batch["speech"] = batch["speech"].flip(1)
        if self.fault == "int32":
            batch["speech_lengths"] = batch["speech_lengths"].int()
        if self.fault == "neighbours":
            batch["speech"] = batch["speech"] / batch["speech"].abs().max()
        if self.fault == "process" and os.getpid() != self.here:
            batch["speech"] = batch["speech"] * 2
        return batch
