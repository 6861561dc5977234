"""Position-wise feed-forward network."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.linear import Linear

Activation = Literal["relu", "swish", "gelu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "swish": nn.SiLU, "gelu": nn.GELU}


class FeedForward(nn.Sequential):
    """Two linear layers with an activation between them (Vaswani et al. 2017, eq. 2).

    Args:
        size: Number of dimensions in and out.
        units: Number of dimensions between.
        dropout: After the activation.
        activation: ``relu``, ``swish`` (Ramachandran et al. 2017) or ``gelu``.
    """

    def __init__(self, size: int, units: int, dropout: float, activation: Activation) -> None:
        super().__init__(
            Linear(size, units), ACTIVATIONS[activation](), Dropout(dropout), Linear(units, size)
        )

    def forward(self, values: Tensor) -> Tensor:
        """``(…, size)`` to ``(…, size)``."""
        return super().forward(values)
