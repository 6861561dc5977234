"""Tokenizer, model, batches and epochs by the amount of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHARACTERS_FOR_BPE = 200_000
"""Less text than this (about 4 hours of speech) is spelled; more gets byte-pair encoding."""
_BPE = ((20_000_000, 5000), (4_000_000, 2000), (1_000_000, 1000), (0, 300))


@dataclass(frozen=True)
class Size:
    """A model and its training, for data up to ``hours``.

    Attributes:
        hours: Most hours of training speech.
        model: Lines of ``training.model``.
        search: Lines of ``inference.search``.
        lr: Learning rate.
        seconds: Most seconds of audio in a batch.
        updates: Optimizer steps to aim for.
        epochs: Fewest and most epochs.
    """

    hours: float
    model: str
    search: str
    lr: str
    seconds: float
    updates: int
    epochs: tuple[int, int]


_FRONTEND = """\
  name: {name}
  frontend:
    name: speech/log_mel
    n_mels: {mels}
  specaugment:
    name: speech/specaugment
    freq_width: [0, {width}]
    fill: mean
  normalizer:
    name: speech/utterance_mvn
    norm_vars: true
"""
_RNN = (
    _FRONTEND
    + """\
  encoder:
    name: speech/rnn
    input_layer: stack
    stack: {stack}
    hidden_size: {hidden}
    num_layers: {layers}
    dropout: 0.2"""
)
_CONFORMER = (
    _FRONTEND
    + """\
  ctc_weight: 0.3
  encoder:
    name: speech/conformer
    output_size: {size}
    attention_heads: 4
    linear_units: {units}
    num_blocks: {blocks}
    conv_kernel: {kernel}
  decoder:
    name: speech/transformer_decoder
    attention_heads: 4
    linear_units: {units}
    num_blocks: {decoder}"""
)
_GREEDY = "  name: asr/ctc_greedy"
_JOINT = "  name: asr/joint_beam\n  beam_size: 10\n  ctc_weight: 0.3"


def _with(template: str, **sizes: int) -> str:
    """A template with some of its placeholders filled in."""
    for name, value in sizes.items():
        template = template.replace(f"{{{name}}}", str(value))
    return template


_SMALL = _with(_RNN, hidden=128, layers=2)
_MEDIUM = _with(_RNN, hidden=256, layers=3)
_LARGE = _with(_CONFORMER, size=144, units=576, blocks=12, kernel=15, decoder=3)
_LARGEST = _with(_CONFORMER, size=256, units=1024, blocks=12, kernel=31, decoder=6)
SIZES = (
    Size(1.0, _SMALL, _GREEDY, "2.0e-3", 30, 2000, (20, 60)),
    Size(10.0, _MEDIUM, _GREEDY, "1.0e-3", 60, 12000, (20, 60)),
    Size(100.0, _LARGE, _JOINT, "2.0e-3", 120, 60000, (30, 80)),
    Size(float("inf"), _LARGEST, _JOINT, "2.0e-3", 240, 150000, (30, 80)),
)


def choose(texts: Sequence[str], seconds: Sequence[float], rate: int, *, known: bool) -> dict[str, object]:
    """Values of the template's placeholders that depend on the amount of training data.

    Args:
        texts: Training texts.
        seconds: Duration of each training utterance.
        rate: Sample rate in Hz.
        known: Whether there is data at all; without it, sizes for about five hours are written.
    """
    total = sum(seconds) if known else 5 * 3600.0
    size = next(size for size in SIZES if total <= size.hours * 3600)
    characters = sum(map(len, texts)) if known else CHARACTERS_FOR_BPE
    tokenizer = tokenizer_for(characters)
    mels = 80 if rate >= 16000 else 40
    model = _with(size.model, mels=mels, width=mels // 4, stack=4 if "bpe" in tokenizer else 3)
    model = model.replace("{name}", "asr/ctc_attention" if size.search == _JOINT else "asr/ctc")
    longest = max(seconds, default=20.0)
    limit = max(min(size.seconds, total / 4), longest * 1.2, 1.0)
    steps = max(1, round(total / limit))
    epochs = min(max(size.updates // steps, size.epochs[0]), size.epochs[1])
    return {
        "tokenizer": tokenizer,
        "model": model,
        "search": size.search,
        "lr": size.lr,
        "batch": f"  seconds: {limit:.1f}",
        "max_epochs": epochs,
    }


def tokenizer_for(characters: int) -> str:
    """Lines of ``training.tokenizer``: characters for little text, byte pairs for more."""
    if characters < CHARACTERS_FOR_BPE:
        return "  name: asr/char"
    size = next(size for least, size in _BPE if characters >= least)
    return f"  name: asr/bpe\n  vocab_size: {size}"
