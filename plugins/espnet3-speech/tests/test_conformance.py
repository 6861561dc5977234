"""Every component of the plugin, with every value that its options list, passes the conformance kit."""

from __future__ import annotations

from typing import Any

import numpy as np
from espnet3_core.testing import ModuleConformance, PluginConformance, TransformConformance
from espnet3_core.testing.speech import sample_speech
from espnet3_core.train.moments import FeatureStatistics

BLOCKS = {"output_size": 16, "attention_heads": 2, "linear_units": 24, "num_blocks": 2}


class TestPlugin(PluginConformance):
    namespace = "speech"
    complete = True


class Frontend(ModuleConformance):
    """Recordings from a single sample, through parts of a window, to most of a second."""

    role = "frontend"
    choices = True

    def utterances(self) -> list[dict[str, Any]]:
        speech = sample_speech().items
        samples = (3100, 1, 40, 399, 150, 6000, 1200)
        return [
            {"id": f"u{count}", "speech": speech[number % 4]["speech"][:count]}
            for number, count in enumerate(samples)
        ]


class TestLogMel(Frontend):
    name = "speech/log_mel"
    config = {"n_mels": 20}
    variants = ({"dynamic_range_db": 60.0},)


class TestKaldiFbank(Frontend):
    name = "speech/kaldi_fbank"
    config = {"n_mels": 20}
    variants = ({"dither": 1.0}, {"preemphasis": 0.0})


class Normalizer(ModuleConformance):
    role = "normalizer"
    choices = True


class TestGlobalMVN(Normalizer):
    name = "speech/global_mvn"
    needs = {"stats": FeatureStatistics(np.linspace(-3, 1, 20), np.linspace(0.5, 2, 20), 100)}


class TestUtteranceMVN(Normalizer):
    name = "speech/utterance_mvn"


class Encoder(ModuleConformance):
    role = "encoder"
    choices = True


class TestTransformer(Encoder):
    name = "speech/transformer"
    config = BLOCKS


class TestConformer(Encoder):
    name = "speech/conformer"
    config = {**BLOCKS, "conv_kernel": 7}


class TestFastConformer(Encoder):
    name = "speech/fast_conformer"
    config = {**BLOCKS, "conv_kernel": 7, "subsampling_channels": 8}


class TestEBranchformer(Encoder):
    name = "speech/e_branchformer"
    config = {**BLOCKS, "cgmlp_units": 20, "cgmlp_kernel": 7, "merge_kernel": 5}


class TestRNN(Encoder):
    name = "speech/rnn"
    config = {"hidden_size": 8, "num_layers": 2}
    variants = ({"output_size": 12},)


class TestTDNN(Encoder):
    name = "speech/tdnn"
    config = {"hidden_size": 8, "num_layers": 2}


class TestChain(Encoder):
    name = "speech/chain"
    config = {
        "encoders": [
            {"name": "speech/tdnn", "hidden_size": 8, "num_layers": 2},
            {"name": "speech/rnn", "hidden_size": 6, "num_layers": 1},
        ]
    }


class TestTransformerDecoder(ModuleConformance):
    name = "speech/transformer_decoder"
    role = "decoder"
    choices = True
    config = {"attention_heads": 2, "linear_units": 24, "num_blocks": 2}


class TestCTC(ModuleConformance):
    name = "speech/ctc"
    role = "ctc"

    def outputs(self, module: Any, batch: Any) -> list[Any]:
        found = module(batch["features"])
        return [row[:length] for row, length in zip(found, batch["features_lengths"].tolist(), strict=True)]


class TestSpecAugment(TransformConformance):
    name = "speech/specaugment"
    choices = True
    variants = ({"time_warp": 5}, {"time_width": (0, 9)}, {"time_masks": 0, "freq_masks": 0})
