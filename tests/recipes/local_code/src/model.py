"""A transformers model with random weights, and greedy decoding."""

import torch
from transformers import Wav2Vec2ForCTC


class DigitsForCTC(Wav2Vec2ForCTC):
    """``forward`` is transformers' own, which picks its loss by the ending of the class's name."""

    def infer(self, batch):
        """One result per utterance."""
        with torch.inference_mode():
            logits = self(batch["input_values"], attention_mask=batch["attention_mask"]).logits
        best = logits.argmax(-1).tolist()
        return [{"text": " ".join(str(token - 2) for token in path if token > 1)} for path in best]
