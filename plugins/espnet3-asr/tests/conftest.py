"""Small recognisers and a tokenizer, built without the catalog."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from espnet3_asr.models.ctc.config import CTCConfig
from espnet3_asr.models.ctc.model import CTCModel
from espnet3_asr.models.ctc_attention.config import CTCAttentionConfig
from espnet3_asr.models.ctc_attention.model import CTCAttention
from espnet3_asr.searches.encoding import Utterances
from espnet3_speech.decoders.config import TransformerDecoderConfig
from espnet3_speech.decoders.transformer import TransformerDecoder
from espnet3_speech.encoders.config import TransformerConfig
from espnet3_speech.encoders.transformer import TransformerEncoder
from espnet3_speech.frontends.config import LogMelConfig
from espnet3_speech.frontends.log_mel import LogMel
from espnet3_speech.normalizers.config import GlobalMVNConfig, UtteranceMVNConfig
from espnet3_speech.normalizers.mvn import GlobalMVN, UtteranceMVN

RATE = 8000


class Built:
    """Stands for a component: builds ``target(config, **needs)`` without a catalog."""

    def __init__(self, target: Callable[..., Any], config: Any) -> None:
        self.target, self.config = target, config

    def build(self, **needs: Any) -> Any:
        return self.target(self.config, **needs)


class Letters:
    """Tokens ``<blank> <unk> <space> a b c … <sos/eos>``."""

    blank_id, unk_id = 0, 1

    def __init__(self, letters: str = "abcdefgh") -> None:
        self.tokens = ["<blank>", "<unk>", "<space>", *letters, "<sos/eos>"]
        self.sos_id = self.eos_id = len(self.tokens) - 1

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        return [self.tokens.index(c if c != " " else "<space>") for c in text]

    def decode(self, ids: Any) -> str:
        kept = [self.tokens[i] for i in ids if i not in (0, self.eos_id)]
        return "".join(" " if token == "<space>" else token for token in kept).strip()


def parts(normalizer: str = "utterance", **encoder: Any) -> dict[str, Any]:
    options = {
        "output_size": 16,
        "attention_heads": 2,
        "linear_units": 24,
        "num_blocks": 3,
        "input_layer": "conv1d2",
        "dropout": 0.0,
        "positional_dropout": 0.0,
        **encoder,
    }
    norms = {
        "utterance": Built(UtteranceMVN, UtteranceMVNConfig()),
        "global": Built(GlobalMVN, GlobalMVNConfig()),
    }
    return {
        "frontend": Built(LogMel, LogMelConfig(n_mels=20)),
        "normalizer": norms[normalizer],
        "encoder": Built(TransformerEncoder, TransformerConfig(**options)),
    }


def decoder_part() -> Built:
    config = TransformerDecoderConfig(
        attention_heads=2, linear_units=24, num_blocks=2, dropout=0.0, positional_dropout=0.0
    )
    return Built(TransformerDecoder, config)


@pytest.fixture
def letters() -> Letters:
    return Letters()


@pytest.fixture
def make_ctc(letters: Letters) -> Callable[..., CTCModel]:
    def make(seed: int = 0, normalizer: str = "utterance", stats: Any = None, **options: Any) -> CTCModel:
        torch.manual_seed(seed)
        config = CTCConfig(**parts(normalizer), **options)
        return CTCModel(config, vocab_size=len(letters), sample_rate=RATE, stats=stats, tokenizer=letters)

    return make


@pytest.fixture
def make_hybrid(letters: Letters) -> Callable[..., CTCAttention]:
    def make(seed: int = 0, **options: Any) -> CTCAttention:
        torch.manual_seed(seed)
        config = CTCAttentionConfig(**parts(), decoder=decoder_part(), **options)
        return CTCAttention(config, vocab_size=len(letters), sample_rate=RATE, tokenizer=letters)

    return make


@pytest.fixture
def make_batch() -> Callable[..., dict[str, Any]]:
    """Noise of the given lengths (seconds), and texts of the given numbers of tokens."""

    def make(seconds: list[float], tokens: list[int] | None = None, seed: int = 0) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        samples = [int(s * RATE) for s in seconds]
        speech = torch.zeros(len(samples), max(samples, default=0))
        for row, count in enumerate(samples):
            speech[row, :count] = torch.from_numpy(rng.standard_normal(count).astype(np.float32) * 0.1)
        batch = {
            "ids": [f"u{row}" for row in range(len(samples))],
            "speech": speech,
            "speech_lengths": torch.tensor(samples),
        }
        if tokens is not None:
            text = torch.full((len(tokens), max(tokens)), -1)
            for row, count in enumerate(tokens):
                text[row, :count] = torch.from_numpy(rng.integers(1, 10, count))
            batch |= {"text": text, "text_lengths": torch.tensor(tokens)}
        return batch

    return make


class Exhaustive:
    """References on tiny vocabularies, by enumeration."""

    @staticmethod
    def utterances(log_probs: torch.Tensor, lengths: list[int], size: int = 4) -> Utterances:
        """Encoded utterances with these CTC log-probabilities."""
        torch.manual_seed(7)
        memory = torch.randn(*log_probs.shape[:2], size)
        frames = torch.tensor(lengths)
        return Utterances(memory, frames, lengths, [n * 0.04 for n in lengths], 0.04, log_probs)

    @staticmethod
    def ctc(log_probs: torch.Tensor) -> dict[tuple[int, ...], float]:
        """Log-probability of each text that ``(frames, vocabulary)`` can spell."""
        found: dict[tuple[int, ...], float] = {}
        table = log_probs.double().numpy()
        for path in itertools.product(range(table.shape[1]), repeat=len(table)):
            text = tuple(k for k, _ in itertools.groupby(path) if k != 0)
            score = float(sum(table[t, c] for t, c in enumerate(path)))
            found[text] = float(np.logaddexp(found.get(text, -np.inf), score))
        return found


@pytest.fixture
def exhaustive() -> type[Exhaustive]:
    return Exhaustive
