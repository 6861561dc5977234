"""A letter is a tone of 40 ms: `a` of 300 Hz, `b` of 350 Hz …; a space is as much silence."""

import os

import torch
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from torch import nn

SECONDS = 0.04
LOWEST, STEP = 300.0, 50.0


def wait_while_held() -> None:
    """Wait at the fifo that $TONES_HOLD names, where there is one, until somebody writes to it."""
    held = os.environ.get("TONES_HOLD", "")
    if os.path.exists(held):
        with open(held, "rb") as stream:
            stream.read()


class Listener(nn.Module):
    """Writes down what letters the tones are."""

    def __init__(self, *, sample_rate: int) -> None:
        super().__init__()
        self.rate = sample_rate
        self.gain = nn.Parameter(torch.ones(1))

    def infer(self, batch):
        wait_while_held()
        if not batch["speech"].isfinite().all():
            raise RuntimeError("not finite")
        rows = zip(batch["speech"], batch["speech_lengths"].tolist(), strict=True)
        return [self._heard(row[:length] * self.gain) for row, length in rows]

    def _heard(self, speech):
        size = round(SECONDS * self.rate)
        if len(speech) < size // 2:
            raise UserError(f"{len(speech)} samples are too few to hear anything")
        if speech.abs().max() > 0.999:
            raise RuntimeError("an ear hurts")
        letters, words, word = "", [], ""
        begun = int((speech.abs() > 0.02).int().argmax())
        for number, block in enumerate([*speech[begun:].split(size), torch.zeros(size)]):
            letter = self._letter(block)
            letters += letter
            if letter != " ":
                word += letter
            elif word:
                end = begun / self.rate + number * SECONDS
                words.append({"word": word, "start": end - len(word) * SECONDS, "end": end})
                word = ""
        text = " ".join(letters.split())
        return {"text": text, "tokens": list(text), "words": words, "score": -0.5 * len(text)}

    def _letter(self, block):
        if len(block) < self.rate * SECONDS / 2 or block.square().mean() < 0.02:
            return " "
        spectrum = torch.fft.rfft(block, n=self.rate).abs()
        return chr(ord("a") + min(25, max(0, round((spectrum.argmax().item() - LOWEST) / STEP))))


class Speaker(nn.Module):
    """Plays the letters of a text."""

    def __init__(self, *, sample_rate: int) -> None:
        super().__init__()
        self.rate = sample_rate
        self.gain = nn.Parameter(torch.ones(1))

    def infer(self, batch):
        wait_while_held()
        speeds = batch.get("speed", torch.ones(len(batch["ids"]))).tolist()
        return [
            {"sound": Audio(self._said(text, speed).detach().cpu().numpy(), self.rate)}
            for text, speed in zip(batch["text"], speeds, strict=True)
        ]

    def _said(self, text, speed):
        if "#" in text:
            raise UserError("there is no tone for '#'")
        if "!!!" in text:
            raise RuntimeError("a string broke")
        time = torch.arange(round(SECONDS / speed * self.rate)) / self.rate
        tones = [
            0.5 * torch.sin(2 * torch.pi * (LOWEST + STEP * (ord(letter) - ord("a"))) * time)
            if "a" <= letter <= "z"
            else torch.zeros(len(time))
            for letter in text.lower()
        ]
        return torch.cat(tones) * self.gain
