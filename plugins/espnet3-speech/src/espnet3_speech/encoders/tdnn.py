"""Time-delay neural network."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from espnet3_speech.encoders.config import TDNNConfig
from espnet3_speech.encoders.output import EncoderOutput, check_intermediate
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.subsampling import FrameStacking
from espnet3_speech.masks import zero_padding


class TDNNLayer(nn.Module):
    """A convolution over time with layer normalization, added to its input.

    Args:
        config: Sizes.
    """

    def __init__(self, config: TDNNConfig) -> None:
        super().__init__()
        size, kernel = config.hidden_size, config.kernel_size
        self.conv = nn.Conv1d(size, size, kernel, padding=(kernel - 1) // 2)
        self.norm = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)

    def forward(self, values: Tensor) -> Tensor:
        """``(batch, frames, hidden_size)``, zero in padded frames, to the same shape."""
        hidden: Tensor = self.conv(values.transpose(1, 2)).transpose(1, 2)
        return values + self.dropout(functional.relu(self.norm(hidden)))


class TDNNEncoder(nn.Module):
    """Convolutions over time (Waibel et al. 1989, section II) with residual connections (He et al. 2016).

    An output frame sees ``num_layers * (kernel_size - 1) + 1`` stacked frames and nothing beyond, which
    makes it hard to learn whole utterances, or speakers, by heart.

    Args:
        config: Sizes and options.
        input_size: Number of features.
    """

    def __init__(self, config: TDNNConfig, *, input_size: int) -> None:
        super().__init__()
        self.config = config
        self.output_size = config.hidden_size
        self.subsampling = FrameStacking(input_size, config.stack)
        self.input = nn.Linear(self.subsampling.output_size, config.hidden_size)
        self.layers = nn.ModuleList(TDNNLayer(config) for _ in range(config.num_layers))

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Feature frames to output frames."""
        return self.subsampling.output_lengths(lengths)

    def forward(
        self,
        features: Tensor,
        lengths: Tensor,
        *,
        intermediate_layers: Sequence[int] = (),
        condition: Callable[[Tensor], Tensor] | None = None,
    ) -> EncoderOutput:
        """Encode ``(batch, frames, input_size)``.

        Args:
            features: Input.
            lengths: ``(batch,)`` valid frames.
            intermediate_layers: Numbers of layers (from 1) after which to keep the hidden vectors.
            condition: Maps such vectors to what is added to the input of the next layer.

        Raises:
            UserError: There is no such intermediate layer.
        """
        check_intermediate(intermediate_layers, len(self.layers))
        values, lengths = self.subsampling(features, lengths)
        values = zero_padding(self.input(values), lengths)
        intermediate: dict[int, Tensor] = {}
        for number, layer in enumerate(self.layers, start=1):
            values = zero_padding(layer(values), lengths)
            if number in intermediate_layers:
                intermediate[number] = values
                if condition is not None:
                    values = zero_padding(values + condition(values), lengths)
        return EncoderOutput(values, lengths, intermediate)
