"""Monotonic rational-quadratic splines."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST = 1e-3
"""Width, height and slope of a bin, as shares of the whole and of 1."""


def rational_quadratic(
    inputs: Tensor, parameters: Tensor, *, bound: float, inverse: bool = False
) -> tuple[Tensor, Tensor]:
    """Increasing function of each number, the identity beyond a bound (Durkan et al. 2019, section 3.1).

    Args:
        inputs: Any shape.
        parameters: ``(*inputs.shape, 3 * bins - 1)`` unbounded: widths and heights of the bins, and slopes
            between them. The slope at both bounds is 1.
        bound: The spline goes from (-bound, -bound) to (bound, bound).
        inverse: Compute its inverse.

    Returns:
        Outputs, and logarithms of the derivatives of what was computed, of the inputs' shape.
    """
    bins = (parameters.shape[-1] + 1) // 3
    widths, heights, slopes = parameters.split([bins, bins, bins - 1], -1)
    left, bottom = _knots(widths, bound), _knots(heights, bound)
    slope = functional.pad(_SMALLEST + functional.softplus(slopes), (1, 1), value=1.0)
    place = inputs.clamp(-bound, bound).unsqueeze(-1)
    knots = bottom if inverse else left
    bin_ = (torch.searchsorted(knots.detach(), place.detach(), right=True) - 1).clamp(0, bins - 1)

    def of(table: Tensor, shift: int = 0) -> Tensor:
        return table.gather(-1, bin_ + shift)

    x, y = of(left), of(bottom)
    width, height = of(left, 1) - x, of(bottom, 1) - y
    before, after, mean = of(slope), of(slope, 1), height / width
    bend = before + after - 2 * mean
    if inverse:
        rise = place - y
        # The root within the bin of a quadratic equation (equations 6 to 8), without cancellation.
        a, b, c = height * (mean - before) + rise * bend, height * before - rise * bend, -mean * rise
        share = 2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())
    else:
        share = (place - x) / width
    product = share * (1 - share)
    scale = mean + bend * product
    slope_here = after * share.square() + 2 * mean * product + before * (1 - share).square()
    log_derivative = 2 * mean.log() + slope_here.log() - 2 * scale.log()
    if inverse:
        found, log_derivative = x + share * width, -log_derivative
    else:
        found = y + height * (mean * share.square() + before * product) / scale
    inside = inputs.abs() <= bound
    return (
        torch.where(inside, found.squeeze(-1), inputs),
        torch.where(inside, log_derivative.squeeze(-1), 0.0),
    )


def _knots(sizes: Tensor, bound: float) -> Tensor:
    """Unbounded sizes of ``(…, bins)`` to the edges between them, ``(…, bins + 1)``."""
    shares = _SMALLEST + (1 - _SMALLEST * sizes.shape[-1]) * sizes.softmax(-1)
    inner = 2 * bound * shares.cumsum(-1)[..., :-1] - bound
    return functional.pad(functional.pad(inner, (1, 0), value=-bound), (0, 1), value=bound).contiguous()
