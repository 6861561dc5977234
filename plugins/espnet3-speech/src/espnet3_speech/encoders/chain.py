"""Encoders one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from espnet3_core.errors import UserError
from torch import Tensor, nn

from espnet3_speech.encoders.config import ChainConfig
from espnet3_speech.encoders.output import EncoderOutput


class ChainEncoder(nn.Module):
    """Each encoder reads what the one before it returns, and its frames.

    Convolutions below a recurrent layer, for one (Sainath et al. 2015, "Convolutional, Long Short-Term
    Memory, Fully Connected Deep Neural Networks"; Peddinti et al. 2018, "Low Latency Acoustic Modeling Using
    Temporal Convolution and LSTMs").

    Args:
        config: The encoders, from the features on.
        input_size: Number of features.
    """

    def __init__(self, config: ChainConfig, *, input_size: int) -> None:
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleList()
        self.output_size = input_size
        for part in config.encoders:
            encoder = part.build(input_size=self.output_size)
            self.encoders.append(encoder)
            self.output_size = int(encoder.output_size)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Feature frames to output frames."""
        for encoder in self.encoders:
            lengths = encoder.output_lengths(lengths)  # type: ignore[operator]
        return lengths

    def forward(
        self,
        features: Tensor,
        lengths: Tensor,
        *,
        intermediate_layers: Sequence[int] = (),
        condition: Callable[[Tensor], Tensor] | None = None,
    ) -> EncoderOutput:
        """Encode ``(batch, frames, input_size)``; there are no intermediate layers.

        Raises:
            UserError: Intermediate layers are asked for.
        """
        if intermediate_layers:
            raise UserError(
                "encoder speech/chain has no intermediate layers", hint="use an attention encoder for them"
            )
        for encoder in self.encoders:
            features, lengths, *_ = encoder(features, lengths)
        return EncoderOutput(features, lengths, {})
