"""A letter is a tone of a quarter of a second: `a` of 300 Hz, `b` of 350 Hz …; a space is as much silence."""

import torch
from espnet3_core.infer.audio import Audio
from torch import nn

SECONDS, LOWEST, STEP = 0.25, 300.0, 50.0


class _Part(nn.Module):
    def __init__(self, *, sample_rate: int) -> None:
        super().__init__()
        self.rate = sample_rate
        self.gain = nn.Parameter(torch.ones(1))


class Listener(_Part):
    """Writes down what letters the tones are, and all that can be said of a recording otherwise."""

    def infer(self, batch):
        rows = zip(batch["speech"], batch["speech_lengths"].tolist(), strict=True)
        return [self._heard(row[:length] * self.gain) for row, length in rows]

    def _heard(self, speech):
        if speech.abs().max() < 1e-3:
            raise RuntimeError("silence breaks this model")
        letters = "".join(map(self._letter, speech.split(round(SECONDS * self.rate))))
        words, start = [], 0
        for word in letters.split(" "):
            if word:
                times = {"start": start * SECONDS, "end": (start + len(word)) * SECONDS}
                words.append({"word": word, **times})
            start += len(word) + 1
        level = float(speech.square().mean().sqrt())
        return {
            "text": " ".join(letters.split()),
            "words": words,
            "level": level,
            "voice": {"high": 0.25, "low": 0.75},
            "vector": [1.0, 2.0],
        }

    def _letter(self, block):
        if block.square().mean() < 0.02:
            return " "
        peak = torch.fft.rfft(block, n=self.rate).abs().argmax().item()
        return chr(ord("a") + min(25, max(0, round((peak - LOWEST) / STEP))))


class Speaker(_Part):
    """Plays the letters of a text."""

    def infer(self, batch):
        speeds = batch.get("speed", torch.ones(len(batch["ids"]))).tolist()
        return [
            {"sound": Audio(self._said(*pair).detach().numpy(), self.rate)}
            for pair in zip(batch["text"], speeds, strict=True)
        ]

    def _said(self, text, speed):
        time = torch.arange(round(SECONDS / speed * self.rate)) / self.rate
        tones = [
            0.5 * torch.sin(2 * torch.pi * (LOWEST + STEP * (ord(letter) - ord("a"))) * time)
            if "a" <= letter <= "z"
            else torch.zeros(len(time))
            for letter in text
        ]
        return torch.cat(tones) * self.gain
