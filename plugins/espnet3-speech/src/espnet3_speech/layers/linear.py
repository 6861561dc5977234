"""Linear layers that compute several projections of one input at once."""

from __future__ import annotations

from torch import nn


class FusedLinear(nn.Linear):
    """``parts`` linear layers of equal size over one input, as one matrix product.

    Outputs are concatenated. Initialization treats the parts as the separate layers that they are.
    """

    def __init__(self, in_features: int, part_features: int, parts: int, bias: bool = True) -> None:
        self.parts = parts
        super().__init__(in_features, parts * part_features, bias)
