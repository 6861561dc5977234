"""A dataset as Hugging Face users write it, over the manifest named by $DIGITS_MANIFEST."""

import csv
import os
from pathlib import Path

import soundfile
import soxr
import torch
from torch.utils.data import Dataset


class Digits(Dataset):
    """Items ``{"input_values", "labels"}``; nothing of espnet3 is used."""

    def __init__(self, split):
        self.folder = Path(os.environ["DIGITS_MANIFEST"]).parent
        with open(os.environ["DIGITS_MANIFEST"], encoding="utf-8", newline="") as lines:
            self.rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["split"] == split]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        audio, rate = soundfile.read(self.folder / self.rows[index]["path"], dtype="float32")
        labels = [int(digit) + 2 for digit in self.rows[index]["text"].split()]
        return {
            "input_values": torch.from_numpy(soxr.resample(audio, rate, 16000)),
            "labels": torch.tensor(labels),
        }


class Collator:
    """Pads as transformers' own collators do: labels with -100."""

    def __call__(self, items):
        pad = torch.nn.utils.rnn.pad_sequence
        values = [item["input_values"] for item in items]
        masks = [torch.ones(len(value), dtype=torch.long) for value in values]
        return {
            "input_values": pad(values, batch_first=True),
            "attention_mask": pad(masks, batch_first=True),
            "labels": pad([item["labels"] for item in items], batch_first=True, padding_value=-100),
        }
