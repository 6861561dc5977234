import pytest
from espnet3_core.errors import UserError
from espnet3_speech.config import CTCConfig
from espnet3_speech.decoders.config import TransformerDecoderConfig
from espnet3_speech.encoders.config import (
    ConformerConfig,
    EBranchformerConfig,
    FastConformerConfig,
    RNNConfig,
    TransformerConfig,
)
from espnet3_speech.frontends.config import KaldiFbankConfig, LogMelConfig
from espnet3_speech.specaugment.config import SpecAugmentConfig


@pytest.mark.parametrize(
    ("config", "name", "value", "message"),
    [
        (TransformerConfig, "num_blocks", 0, "num_blocks must be at least 1, not 0"),
        (ConformerConfig, "linear_units", 0, "linear_units must be at least 1"),
        (ConformerConfig, "conv_kernel", -1, "conv_kernel must be at least 1"),
        (FastConformerConfig, "subsampling_channels", 0, "subsampling_channels must be at least 1"),
        (FastConformerConfig, "dropout", 1.0, "dropout is a probability .* it is 1.0"),
        (EBranchformerConfig, "merge_kernel", 0, "merge_kernel must be at least 1"),
        (EBranchformerConfig, "attention_dropout", -0.1, "attention_dropout is a probability"),
        (EBranchformerConfig, "layer_drop", 2.0, "layer_drop is a probability"),
        (RNNConfig, "num_layers", 0, "num_layers must be at least 1"),
        (RNNConfig, "dropout", 1.5, "dropout is a probability"),
        (TransformerDecoderConfig, "num_blocks", 0, "num_blocks must be at least 1"),
        (
            TransformerDecoderConfig,
            "cross_attention_dropout",
            3.0,
            "cross_attention_dropout is a probability",
        ),
        (CTCConfig, "dropout", 2.0, "dropout is a probability"),
        (LogMelConfig, "n_mels", 0, "n_mels must be at least 1"),
        (KaldiFbankConfig, "n_mels", 0, "n_mels must be at least 1"),
        (SpecAugmentConfig, "time_warp", -3, "time_warp must not be negative"),
        (SpecAugmentConfig, "time_masks", -1, "time_masks must not be negative"),
        (SpecAugmentConfig, "time_width", (9, 3), "time_width from 9 to 3 is no range"),
        (SpecAugmentConfig, "time_ratio", (0.0, 3.0), "time_ratio is a part of the utterance"),
    ],
)
def test_values_out_of_range_are_refused(config, name, value, message):
    with pytest.raises(UserError, match=message):
        config(**{name: value})
