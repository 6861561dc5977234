"""Options of predictors."""

from __future__ import annotations

from dataclasses import dataclass

from espnet3_core.errors import UserError
from espnet3_speech.ranges import check_shares, check_sizes


@dataclass(kw_only=True)
class PredictorConfig:
    """Predictors of duration, pitch and energy."""

    channels: int = 256
    """Channels of the convolutions."""
    kernel: int = 3
    """Kernel of the convolutions, odd."""
    layers: int = 2
    """Convolutions."""
    dropout: float = 0.5
    """Dropout after each."""

    def __post_init__(self) -> None:
        check_sizes(self, "channels", "kernel", "layers")
        check_shares(self, "dropout")
        if self.kernel % 2 == 0:
            raise UserError(f"the predictors' kernel is odd, not {self.kernel}")
