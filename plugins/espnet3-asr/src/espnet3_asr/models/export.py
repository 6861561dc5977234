"""Recognisers as graphs: CTC log-probabilities of audio, or of the features that sherpa-onnx computes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from espnet3_core.build import registered_of
from espnet3_core.bundle.export import Arrays, Export, Graph
from espnet3_core.errors import UserError
from espnet3_speech.frontends.config import KaldiFbankConfig
from torch import Tensor, nn

from espnet3_asr.models.recogniser import Recogniser
from espnet3_asr.searches.ctc_greedy import collapse
from espnet3_asr.tokenizers.char import CharTokenizer
from espnet3_asr.tokenizers.config import SPACE
from espnet3_asr.tokenizers.subword import SubwordTokenizer
from espnet3_asr.tokenizers.word import WordTokenizer

if TYPE_CHECKING:
    from espnet3_core.bundle.model import LoadedModel

WORD_START = "\u2581"
"""How SentencePiece, and sherpa-onnx, spell the space before a word."""

SHERPA_FBANK = KaldiFbankConfig(fmax=-400.0, snip_edges=False, scale=1.0)
"""Features that sherpa-onnx computes for its Zipformer CTC models; only the number of bands is free.

For its WeNet models it scales samples to 16 bits as Kaldi does, but adds noise: texts would vary.
"""


_NEVER = -1e4
"""Log-probability of tokens that shall not win; finite, as some programs compute with it."""


class AudioToLogProbs(nn.Module):
    """A recogniser's front end, encoder and CTC output layer."""

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.recogniser = recogniser

    def forward(self, speech: Tensor, speech_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, samples)`` to log-probabilities ``(batch, frames, vocabulary)`` and ``(batch,)``."""
        encoded = self.recogniser.encode(speech, speech_lengths)
        return self.recogniser.ctc.log_probs(encoded.features), encoded.lengths


class FeaturesToLogProbs(nn.Module):
    """The same without the front end; tokens that are no text count as the blank.

    Programs that know of no such tokens (unknown, sentence boundary) would print them.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__()
        self.recogniser = recogniser

    def forward(self, x: Tensor, x_lens: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, frames, bands)`` to ``(batch, fewer frames, vocabulary)`` and ``(batch,)`` frames."""
        encoded = self.recogniser.ctc.encode(self.recogniser.stack.encode, x, x_lens)
        log_probs = self.recogniser.ctc.log_probs(encoded.features)
        silent = torch.stack([log_probs[..., 0], log_probs[..., 1], log_probs[..., -1]], -1)
        blank = silent.amax(-1, keepdim=True)  # of these the best: so the best path spells what it spelt
        never = torch.full_like(blank, _NEVER)
        return torch.cat([blank, never, log_probs[..., 2:-1], never], -1), encoded.lengths


def audio_to_log_probs(model: LoadedModel) -> Export:
    """``--format onnx``: every CTC model, with its front end.

    Raises:
        UserError: The bundle has no CTC model, or changes the audio before the model hears it.
    """
    recogniser = _recogniser(model)
    vocabulary = recogniser.vocab_size
    graph = Graph(
        module=AudioToLogProbs(recogniser),
        inputs={"speech": ("batch", "samples"), "speech_lengths": ("batch",)},
        outputs={"log_probs": ("batch", "frames", vocabulary), "log_probs_lengths": ("batch",)},
        examples=_audio_examples(model),
        reads=_reader(model.tokenizer),
        metadata={
            "sample_rate": str(recogniser.sample_rate),
            "frame_seconds": str(recogniser.frame_seconds),
            "blank_id": "0",
        },
    )
    return Export(graphs=(graph,), files={"tokens.txt": _table(_symbols(model.tokenizer))})


def features_to_log_probs(model: LoadedModel) -> Export:
    """``--format sherpa-onnx``: what ``OfflineRecognizer.from_zipformer_ctc`` reads.

    Raises:
        UserError: As above; or sherpa-onnx computes other features, or spells text in another way.
    """
    recogniser = _recogniser(model)
    frontend = recogniser.stack.frontend
    _check_features(model)
    symbols = _sherpa_symbols(model)
    vocabulary, bands = recogniser.vocab_size, frontend.output_size
    with torch.no_grad():
        examples = [recogniser.stack.features(*example) for example in _audio_examples(model)]
    graph = Graph(
        module=FeaturesToLogProbs(recogniser),
        inputs={"x": ("batch", "frames", bands), "x_lens": ("batch",)},
        outputs={"log_probs": ("batch", "output_frames", vocabulary), "log_probs_len": ("batch",)},
        examples=examples,
        reads=_reader(model.tokenizer),
        metadata={
            "model_type": "zipformer2_ctc",
            "vocab_size": str(vocabulary),
            "sample_rate": str(recogniser.sample_rate),
            "feature_dim": str(bands),
        },
    )
    return Export(graphs=(graph,), files={"tokens.txt": _table(symbols)})


def _recogniser(model: LoadedModel) -> Recogniser:
    name = model.config.model.name
    if not isinstance(model.model, Recogniser):
        raise UserError(
            f"model {name} has no CTC output of its own, and only that is exported",
            hint="asr/ctc and asr/ctc_attention have one",
        )
    if getattr(model.model, "ctc_weight", 1.0) == 0:
        raise UserError(
            f"model {name} has ctc_weight 0: its CTC output, which is what is exported, was not trained",
            hint="train with a model.ctc_weight above 0, e.g. 0.3",
        )
    changes = [part.name for part in model.config.preprocess if registered_of(part).role == "audio"]
    if changes:
        raise UserError(
            f"the bundle changes audio before the model hears it ({', '.join(map(str, changes))}), "
            "which is no part of the graph",
            hint="train without dataset.preprocess of audio",
        )
    return model.model


def _audio_examples(model: LoadedModel) -> list[tuple[Tensor, Tensor]]:
    """A padded batch and a shorter recording of noise, and the bundle's sample where there is one."""
    generator = torch.Generator().manual_seed(0)
    rate = model.sample_rate or 16000
    examples = []
    for seconds in ((1.6, 1.1), (0.7,)):
        lengths = torch.tensor([int(length * rate) for length in seconds])
        speech = torch.randn(len(seconds), int(lengths.max()), generator=generator) * 0.1
        examples.append((speech, lengths))
    packed = ((model.manifest.sample or {}).get("inputs") or {}).get("speech")
    if packed:
        from espnet3_core.data.audio import read_audio

        samples = torch.from_numpy(read_audio(model.directory / packed, sample_rate=rate))
        examples.append((samples[None], torch.tensor([len(samples)])))
    return examples


def _reader(tokenizer: Any) -> Any:
    """Greedy CTC: what each utterance's log-probabilities say."""

    def read(outputs: Arrays) -> list[str]:
        log_probs, lengths = outputs.values()
        paths = log_probs.argmax(-1)
        return [
            tokenizer.decode(collapse(path[:frames])[0]) for path, frames in zip(paths, lengths, strict=True)
        ]

    return read


def _table(symbols: Sequence[str]) -> str:
    return "".join(f"{symbol} {number}\n" for number, symbol in enumerate(symbols))


def _symbols(tokenizer: Any) -> list[str]:
    """Tokens whose concatenation is the text, with ``WORD_START`` for the spaces; else as they are."""
    tokens = list(tokenizer.tokens)
    if isinstance(tokenizer, CharTokenizer):
        return [WORD_START if token == SPACE else token for token in tokens]
    if isinstance(tokenizer, WordTokenizer):
        return [*tokens[:2], *(WORD_START + token for token in tokens[2:-1]), tokens[-1]]
    return tokens


def _sherpa_symbols(model: LoadedModel) -> list[str]:
    tokenizer = model.tokenizer
    plain = isinstance(tokenizer, CharTokenizer | WordTokenizer | SubwordTokenizer)
    if not plain or any(re.fullmatch("<0x[0-9A-F]{2}>", token) for token in tokenizer.tokens):
        name = model.config.tokenizer.name if model.config.tokenizer else "none"
        raise UserError(
            f"sherpa-onnx joins tokens to text, which those of the tokenizer {name} do not make",
            hint="it reads asr/char, asr/word, and asr/bpe and asr/unigram without byte_fallback; "
            "--format onnx takes every tokenizer",
        )
    return _symbols(tokenizer)


def _check_features(model: LoadedModel) -> None:
    """Refuse a front end that sherpa-onnx does not compute."""
    component = model.config.model.config.frontend
    free = ("n_mels", "dither", "energy_floor", "raw_energy")
    wanted = {key: value for key, value in vars(SHERPA_FBANK).items() if key not in free}
    options = "name: speech/kaldi_fbank, fmax: -400.0, snip_edges: false, scale: 1.0"
    hint = f"train with model.frontend {{{options}}}; --format onnx takes every front end"
    if component.name != "speech/kaldi_fbank":
        raise UserError(f"sherpa-onnx does not compute the features of {component.name}", hint=hint)
    given = vars(component.config)
    others = [f"{key} is {given[key]}, not {value}" for key, value in wanted.items() if given[key] != value]
    if others:
        raise UserError(f"sherpa-onnx computes other features: {'; '.join(others)}", hint=hint)
