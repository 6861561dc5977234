"""What FastSpeech 2 learns beside spectrograms: embeddings of pitch and energy, the error of durations."""

from __future__ import annotations

from torch import Tensor, nn


class VarianceEmbedding(nn.Module):
    """One number per token to a vector, through a convolution (Łańcucki 2021, "FastPitch", section 2.1).

    Args:
        size: Dimensions of the vectors.
        kernel: Tokens that it sees, odd.
    """

    def __init__(self, size: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, size, kernel, padding=kernel // 2)

    def forward(self, values: Tensor) -> Tensor:
        """``(batch, tokens)``, zero in padding, to ``(batch, tokens, size)``."""
        return self.conv(values.unsqueeze(1)).transpose(1, 2)


def gamma_deviance(logs: Tensor, durations: Tensor) -> Tensor:
    """Error of predicted durations that is least where they are right on average.

    Deviance of the gamma distribution, ``2 (d / m - 1 - log(d / m))`` (McCullagh and Nelder 1989, table 2.1).
    It is near the square of the logarithm's error, which is least at the mean of the logarithms, however, so
    that speech comes out too short.

    Args:
        logs: ``(batch, tokens)`` logarithms of the predicted durations ``m``.
        durations: ``(batch, tokens)`` real ones ``d``, positive.
    """
    excess = durations.float().log() - logs.float()
    return 2 * (excess.expm1() - excess)
