"""Transformer decoder, for whole token sequences and step by step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from espnet3_speech.decoders.config import TransformerDecoderConfig
from espnet3_speech.decoders.memory import Memory
from espnet3_speech.layers.attention import attend, check_heads, join_heads, project_heads
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.feed_forward import FeedForward
from espnet3_speech.layers.linear import FusedLinear, Linear
from espnet3_speech.layers.positions import ScaledInput
from espnet3_speech.masks import valid_mask


@dataclass(frozen=True)
class DecoderState:
    """What a decoder remembers of each hypothesis. Never changed in place: states can be branched.

    Attributes:
        memory: Encoder output.
        past: Per block ``(2, hypotheses, heads, tokens, dim)`` keys and values of the tokens so far.
        steps: Number of tokens so far.
    """

    memory: Memory
    past: tuple[Tensor, ...]
    steps: int


class DecoderBlock(nn.Module):
    """Attention over earlier tokens, over encoder frames, and a feed-forward network; layer norms first."""

    def __init__(self, config: TransformerDecoderConfig, size: int) -> None:
        super().__init__()
        check_heads(size, config.attention_heads)
        self.heads = config.attention_heads
        self.self_dropout = config.self_attention_dropout
        self.cross_dropout = config.cross_attention_dropout
        self.project = FusedLinear(size, size, 3)
        self.out = Linear(size, size)
        self.cross_query = Linear(size, size)
        self.cross_memory = FusedLinear(size, size, 2)
        self.cross_out = Linear(size, size)
        self.feed_forward = FeedForward(size, config.linear_units, config.dropout, config.activation)
        self.norm_self = nn.LayerNorm(size)
        self.norm_cross = nn.LayerNorm(size)
        self.norm_feed_forward = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)

    def forward(self, values: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """All tokens at once, ``(batch, tokens, size)``; ``mask`` is ``(1, batch, 1, frames)``."""
        query, key, value = project_heads(self.project, self.norm_self(values), 3, self.heads)
        if self.training and self.self_dropout and values.device.type == "cpu":
            past = torch.ones(values.shape[1], values.shape[1], dtype=torch.bool).tril()
            mixed = attend(query, key, value, past, self.self_dropout)
        else:
            dropout = self.self_dropout if self.training else 0.0
            mixed = scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        values = values + self.dropout(self.out(join_heads(mixed)))
        (query,) = project_heads(self.cross_query, self.norm_cross(values), 1, self.heads)
        key, value = project_heads(self.cross_memory, memory, 2, self.heads)
        mixed = attend(query, key, value, mask, self.cross_dropout if self.training else 0.0)
        values = values + self.dropout(self.cross_out(join_heads(mixed)))
        return values + self.dropout(self.feed_forward(self.norm_feed_forward(values)))

    def remember(self, memory: Tensor) -> Tensor:
        """Keys and values of encoder frames: ``(2, utterances, heads, frames, dim)``."""
        both = self.cross_memory(memory).unflatten(-1, (2, self.heads, -1))
        return both.permute(2, 0, 3, 1, 4).contiguous()

    def step(self, values: Tensor, past: Tensor | None, memory: Memory, number: int) -> tuple[Tensor, Tensor]:
        """One token per hypothesis: ``(hypotheses, size)``, and the extended keys and values."""
        fresh = self.project(self.norm_self(values)).unflatten(-1, (3, self.heads, 1, -1)).transpose(0, 1)
        past = fresh[1:] if past is None else torch.cat([past, fresh[1:]], dim=3)
        mixed = scaled_dot_product_attention(fresh[0], past[0], past[1])
        values = values + self.dropout(self.out(mixed.flatten(1)))
        queries = memory.gather(self.cross_query(self.norm_cross(values)))
        queries = queries.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = memory.keys_values[number]
        mixed = scaled_dot_product_attention(queries, key, value, memory.mask)
        values = values + self.dropout(self.cross_out(memory.scatter(mixed.transpose(1, 2).flatten(2))))
        return values + self.dropout(self.feed_forward(self.norm_feed_forward(values))), past


class TransformerDecoder(nn.Module):
    """Transformer decoder (Vaswani et al. 2017, section 3.1), layer norm first (Xiong et al. 2020, fig. 1b).

    Args:
        config: Sizes and options.
        vocab_size: Number of tokens.
        encoder_size: Dimensions of encoder output, and of the decoder.
    """

    def __init__(self, config: TransformerDecoderConfig, *, vocab_size: int, encoder_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.embed = nn.Embedding(vocab_size, encoder_size)
        self.scale = ScaledInput(encoder_size, config.positional_dropout, add_positions=True)
        self.blocks = nn.ModuleList(DecoderBlock(config, encoder_size) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(encoder_size)
        self.out = Linear(encoder_size, vocab_size)

    def forward(
        self, tokens: Tensor, token_lengths: Tensor, memory: Tensor, memory_lengths: Tensor
    ) -> Tensor:
        """Logits of the token after each token.

        Args:
            tokens: ``(batch, tokens)`` ids, the start symbol first, padded with anything.
            token_lengths: ``(batch,)``; earlier tokens never see later ones, so padding needs no mask.
            memory: ``(batch, frames, encoder_size)`` encoder output.
            memory_lengths: ``(batch,)`` valid frames.

        Returns:
            ``(batch, tokens, vocab_size)``; rows from the token length on hold no meaning.
        """
        values = self.scale(self.embed(tokens.clamp(0, self.vocab_size - 1)))
        mask = valid_mask(memory_lengths, memory.shape[1])[None, :, None, :]
        for block in self.blocks:
            values = block(values, memory, mask)
        return self.out(self.norm(values))

    def start(self, memory: Tensor, memory_lengths: Tensor) -> DecoderState:
        """State before the first token, with one hypothesis per utterance."""
        mask = valid_mask(memory_lengths, memory.shape[1])[:, None, None, :]
        keys_values = tuple(block.remember(memory) for block in self.blocks)  # type: ignore[operator]
        rows = torch.arange(memory.shape[0], device=memory.device)
        return DecoderState(Memory(keys_values, mask, rows), (), 0)

    def step(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Log-probabilities of the next token.

        Args:
            tokens: ``(hypotheses,)`` last token of each hypothesis.
            state: From :meth:`start`, :meth:`step` or :meth:`reorder`.

        Returns:
            ``(hypotheses, vocab_size)``, float32 at least, and the new state.
        """
        values = self.scale(self.embed(tokens).unsqueeze(1), state.steps).squeeze(1)
        past = []
        for number, block in enumerate(self.blocks):
            before = state.past[number] if state.past else None
            values, pair = block.step(values, before, state.memory, number)  # type: ignore[operator]
            past.append(pair)
        logits = self.out(self.norm(values))
        log_probs = logits.log_softmax(-1, dtype=None if logits.dtype == torch.float64 else torch.float32)
        return log_probs, DecoderState(state.memory, tuple(past), state.steps + 1)

    def reorder(self, state: DecoderState, index: Tensor) -> DecoderState:
        """State of the hypotheses ``index``: repeated to open a beam, dropped when done, in any order."""
        past = tuple(pair.index_select(1, index) for pair in state.past)
        return DecoderState(state.memory.reorder(index), past, state.steps)
