"""Fast Conformer encoder."""

from __future__ import annotations

from espnet3_speech.encoders.blocks import BlockEncoder
from espnet3_speech.encoders.config import FastConformerConfig
from espnet3_speech.encoders.conformer import ConformerBlock
from espnet3_speech.layers.subsampling import DepthwiseSubsampling


class FastConformerEncoder(BlockEncoder):
    """Conformer at an eighth of the frame rate (Rekesh et al. 2023, section 2.1).

    Args:
        config: Sizes and options.
        input_size: Number of features.
    """

    def __init__(self, config: FastConformerConfig, *, input_size: int) -> None:
        super().__init__(
            config,
            DepthwiseSubsampling(input_size, config.subsampling_channels, config.output_size),
            [ConformerBlock(config) for _ in range(config.num_blocks)],
        )
