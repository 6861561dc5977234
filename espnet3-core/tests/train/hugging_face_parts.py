"""A data set and a collator as people write them for Hugging Face's trainer: nothing of ours in them."""

import numpy as np
import torch
from torch.utils.data import Dataset


class Tones(Dataset):
    """Tones of four pitches, labelled by pitch, as a processor leaves them."""

    def __init__(self, count=12, draw=0):
        rng = np.random.default_rng(draw)
        self.rows = []
        for _ in range(count):
            labels = rng.integers(1, 5, 2)
            waves = [np.sin(np.arange(800) * 0.1 * label) for label in labels]
            self.rows.append({"input_values": np.concatenate(waves).astype(np.float32), "labels": labels})

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


class Collator:
    def __init__(self, pad=-100):
        self.pad = pad

    def __call__(self, features):
        inputs = [torch.as_tensor(feature["input_values"]) for feature in features]
        labels = [torch.as_tensor(feature["labels"]) for feature in features]
        padded = torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True)
        mask = torch.arange(padded.shape[1]) < torch.tensor([len(values) for values in inputs])[:, None]
        targets = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=self.pad)
        return {"input_values": padded, "attention_mask": mask.long(), "labels": targets}
