"""What attention encoders share: input layer, positions, a stack of blocks, intermediate outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from espnet3_speech.encoders.config import BlocksConfig
from espnet3_speech.encoders.output import EncoderOutput, check_intermediate
from espnet3_speech.layers.attention import BlockContext
from espnet3_speech.layers.batch_norm import recomputation
from espnet3_speech.layers.positions import PositionTable, ScaledInput
from espnet3_speech.masks import valid_mask


class BlockEncoder(nn.Module):
    """Input layer, scaled input with positions, blocks, layer norm.

    Outputs of an utterance depend neither on its batch nor on its padding (training with dropout aside).

    Args:
        config: Sizes and options.
        subsampling: Input layer; has ``output_lengths``.
        blocks: Called as ``block(values, context)``.
    """

    def __init__(self, config: BlocksConfig, subsampling: nn.Module, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.output_size = config.output_size
        self.subsampling = subsampling
        self.scale = ScaledInput(
            config.output_size, config.positional_dropout, add_positions=config.positions == "abs_pos"
        )
        self.table: PositionTable | None = None
        if config.positions == "rel_pos":
            self.table = PositionTable(config.output_size, signed=True)
        elif config.positions == "rope":
            self.table = PositionTable(config.output_size // config.attention_heads)
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(config.output_size)

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
        """Encode a batch.

        Args:
            features: ``(batch, frames, input_size)``.
            lengths: ``(batch,)`` valid frames.
            intermediate_layers: Numbers of blocks (from 1) after which to keep the normalized output.
            condition: Maps such an output to what is added to the stream (self-conditioned CTC, Nozaki and
                Komatsu 2021, eq. 7).

        Raises:
            UserError: There is no such intermediate layer.
        """
        check_intermediate(intermediate_layers, len(self.blocks))
        values, lengths = self.subsampling(features, lengths)
        context = self._context(values, lengths)
        values = self.scale(values)
        intermediate: dict[int, Tensor] = {}
        for number, block in enumerate(self.blocks, 1):
            values = self._run(block, values, context)
            if number in intermediate_layers:
                intermediate[number] = self.norm(values)
                if condition is not None:
                    values = values + condition(intermediate[number])
        return EncoderOutput(self.norm(values).masked_fill(~context.valid, 0.0), lengths, intermediate)

    def _context(self, values: Tensor, lengths: Tensor) -> BlockContext:
        valid = valid_mask(lengths, values.shape[1])
        positions = None if self.table is None else self.table(values.shape[1], values)
        if positions is not None and self.config.positions == "rel_pos":
            positions = self.scale.dropout(positions)
        return BlockContext(valid.unsqueeze(-1), valid[None, :, None, :], positions)

    def _run(self, block: nn.Module, values: Tensor, context: BlockContext) -> Tensor:
        if self.config.checkpointing and self.training and torch.is_grad_enabled():
            output: Any = checkpoint(
                block,
                values,
                context,
                use_reentrant=False,
                context_fn=lambda: (nullcontext(), recomputation()),
            )
        else:
            output = block(values, context)
        if self.training and self.config.layer_drop > 0:
            # Per utterance, so that every parameter takes part in every step of a distributed training.
            drop = torch.rand(values.shape[0], 1, 1, device=values.device) < self.config.layer_drop
            output = torch.where(drop, values, output)
        return output  # type: ignore[no-any-return]
