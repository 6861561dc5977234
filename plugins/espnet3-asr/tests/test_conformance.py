"""Every component of the plugin passes the conformance kit."""

from __future__ import annotations

from espnet3_core.testing import ModelConformance, PluginConformance, SystemConformance

BLOCKS = {"output_size": 16, "attention_heads": 2, "linear_units": 24, "num_blocks": 2}
ENCODER = {"name": "speech/transformer", **BLOCKS, "input_layer": "conv1d2"}
DECODER = {"name": "speech/transformer_decoder", "attention_heads": 2, "linear_units": 24, "num_blocks": 2}
FRONTEND = {"name": "speech/log_mel", "n_mels": 20}


class TestPlugin(PluginConformance):
    namespace = "asr"
    complete = False


class TestSystem(SystemConformance):
    name = "asr/recognition"


class TestCTC(ModelConformance):
    name = "asr/ctc"
    config = {"frontend": FRONTEND, "encoder": ENCODER}


class TestCTCAttention(ModelConformance):
    name = "asr/ctc_attention"
    config = {"frontend": FRONTEND, "encoder": ENCODER, "decoder": DECODER}
