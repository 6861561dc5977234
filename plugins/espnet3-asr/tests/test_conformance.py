"""Every component of the plugin, with every value that its options list, passes the conformance kit."""

from __future__ import annotations

from typing import Any

import jiwer
import torch
from espnet3_asr.searches.encoding import encode
from espnet3_asr.tokenizers.config import LexiconTokenizerConfig
from espnet3_asr.tokenizers.lexicon import LexiconTokenizer
from espnet3_core.manager import HEAVY_MODULES
from espnet3_core.testing import (
    MetricConformance,
    ModelConformance,
    PluginConformance,
    SearchConformance,
    SystemConformance,
    TokenizerConformance,
)

ENCODER = {
    "name": "speech/conformer",
    "output_size": 16,
    "attention_heads": 2,
    "linear_units": 24,
    "num_blocks": 2,
    "conv_kernel": 7,
}
DECODER = {"name": "speech/transformer_decoder", "attention_heads": 2, "linear_units": 24, "num_blocks": 2}
FRONTEND = {"name": "speech/log_mel", "n_mels": 20}
SECONDS = (0.4, 1 / 8000, 0.05, 0.7, 0.17, 0.3)
"""From a single sample, through parts of a window, to most of a second."""


class TestPlugin(PluginConformance):
    namespace = "asr"
    heavy = (*HEAVY_MODULES, "sentencepiece")
    complete = True


class TestRecognition(SystemConformance):
    name = "asr/recognition"


class Model(ModelConformance):
    """Compared is everything that a model says: CTC, and the decoder after a given text."""

    seconds = SECONDS
    choices = True

    def outputs(self, model: Any, batch: Any) -> list[Any]:
        said = encode(model, batch)
        values = [{"ctc": row[:count]} for row, count in zip(said.ctc, said.frames, strict=True)]
        if hasattr(model, "decoder"):
            text, lengths = batch["text"], batch["text_lengths"]
            logits = model.decoder(text, lengths, said.memory, said.lengths.clamp(min=1))
            for found, row, count in zip(values, logits, lengths.tolist(), strict=True):
                found["decoder"] = row[:count].log_softmax(-1)
        return [{**found, "infer": result} for found, result in zip(values, model.infer(batch), strict=True)]


class TestCTC(Model):
    name = "asr/ctc"
    config = {"frontend": FRONTEND, "encoder": ENCODER, "intermediate_layers": [1]}
    variants = ({"normalizer": {"name": "speech/global_mvn"}},)


class TestCTCAttention(Model):
    name = "asr/ctc_attention"
    config = {**TestCTC.config, "decoder": DECODER}


class Search(SearchConformance):
    seconds = SECONDS
    choices = True
    model = {"name": "asr/ctc_attention", **TestCTCAttention.config}

    def build_model(self, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
        model = super().build_model(dtype)
        for name, value in model.named_parameters():
            if name.endswith("out.weight"):
                value.data.mul_(8)  # decided outputs: texts that ties may not excuse
        return model


class TestCTCGreedy(Search):
    name = "asr/ctc_greedy"


class TestCTCPrefixBeam(Search):
    name = "asr/ctc_prefix_beam"
    config = {"beam_size": 4, "nbest": 2}


class TestJointBeam(Search):
    name = "asr/joint_beam"
    config = {"beam_size": 3, "nbest": 2, "max_length_ratio": -6.0}
    variants = ({"ctc_weight": 1.0}, {"ctc_weight": 0.0})


WORDS = ["aa", "ab", "bad", "face", "gehi"]
SPELLED = {word: " ".join(word) for word in WORDS}


def lexicon() -> LexiconTokenizer:
    """Words of letters: as many tokens as the kit's models have."""
    tokenizer = LexiconTokenizer(LexiconTokenizerConfig(words=SPELLED))
    tokenizer.train(WORDS)
    return tokenizer


class TestCTCLexicon(Search):
    name = "asr/ctc_lexicon"
    needs = {"tokenizer": lexicon()}


class TestLexicon(TokenizerConformance):
    name = "asr/lexicon"
    config = {"words": SPELLED}
    texts = ["bad ab face", "gehi", " ".join(WORDS)]
    choices = True


class TestChar(TokenizerConformance):
    name = "asr/char"
    choices = True


class TestWord(TokenizerConformance):
    name = "asr/word"
    choices = True


class TestByte(TokenizerConformance):
    name = "asr/byte"
    choices = True


SUBWORDS = (
    *({"normalization": rule} for rule in ("nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity")),
    {"byte_fallback": True, "vocab_size": 300},
)


class TestBPE(TokenizerConformance):
    name = "asr/bpe"
    config = {"vocab_size": 60}
    variants = SUBWORDS


class TestUnigram(TokenizerConformance):
    name = "asr/unigram"
    config = {"vocab_size": 40}
    variants = SUBWORDS


REFERENCE = ["one two three", "four", "five six", "seven eight nine ten"]
HYPOTHESIS = ["one too three", "four four", "", "seven nine ten"]


class ErrorRate(MetricConformance):
    values = {"reference": REFERENCE, "hypothesis": HYPOTHESIS}
    empty = {"reference": "", "hypothesis": ""}
    variants = ({"interval": None}, {"normalizers": ["lower"]})


class TestWER(ErrorRate):
    name = "asr/wer"
    expected = {"wer": 100 * jiwer.wer(REFERENCE, HYPOTHESIS), "reference_length": 10, "utterances": 4}


class TestCER(ErrorRate):
    name = "asr/cer"
    expected = {"cer": 100 * jiwer.cer(REFERENCE, HYPOTHESIS)}


class TestTER(ErrorRate):
    """With a tokenizer of letters, the token error rate of single words is their character error rate."""

    name = "asr/ter"
    values = {"reference": ["one", "four", "ten"], "hypothesis": ["on", "for", ""]}
    expected = {"ter": 100 * jiwer.cer(["one", "four", "ten"], ["on", "for", ""])}
