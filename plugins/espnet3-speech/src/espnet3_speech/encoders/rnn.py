"""Recurrent encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from espnet3_core.errors import UserError
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from espnet3_speech.encoders.config import RNNConfig
from espnet3_speech.encoders.output import EncoderOutput
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.subsampling import FrameStacking, input_layer
from espnet3_speech.masks import zero_padding


class RNNEncoder(nn.Module):
    """LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014, section 2.3), bidirectional or not.

    Sequences are packed, so the backward direction starts at the last valid frame of each utterance.

    Args:
        config: Sizes and options.
        input_size: Number of features.
    """

    def __init__(self, config: RNNConfig, *, input_size: int) -> None:
        super().__init__()
        self.config = config
        if config.input_layer in ("none", "stack"):
            self.subsampling: nn.Module = FrameStacking(
                input_size, config.stack if config.input_layer == "stack" else 1
            )
        else:
            self.subsampling = input_layer(
                config.input_layer, input_size, config.hidden_size, config.stack, config.dropout
            )
        self.dropout = Dropout(config.dropout)
        cell = nn.GRU if config.cell == "gru" else nn.LSTM
        self.rnn = cell(
            int(self.subsampling.output_size),  # type: ignore[arg-type]
            config.hidden_size,
            config.num_layers,
            batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
            bidirectional=config.bidirectional,
        )
        hidden = config.hidden_size * (2 if config.bidirectional else 1)
        self.output_size = config.output_size or hidden
        self.out = nn.Linear(hidden, config.output_size) if config.output_size else None

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Feature frames to output frames."""
        return self.subsampling.output_lengths(lengths)  # type: ignore[operator, no-any-return]

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
                "encoder speech/rnn has no intermediate layers", hint="use an attention encoder for them"
            )
        values, lengths = self.subsampling(features, lengths)
        packed = pack_padded_sequence(
            self.dropout(values), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        hidden, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=values.shape[1])
        if self.out is not None:
            hidden = zero_padding(self.out(hidden), lengths)
        return EncoderOutput(hidden, lengths, {})
