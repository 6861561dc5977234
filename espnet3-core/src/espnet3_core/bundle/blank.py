"""Building a model whose weights are loaded next: to draw initial values for them would be wasted time."""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode


class WithoutDraws(TorchFunctionMode):
    """Within it, tensors that would be filled at random in place are filled with zeros."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Torch calls it in place of ``func``."""
        if getattr(func, "__name__", "") in ("uniform_", "normal_"):
            return args[0].zero_()
        return func(*args, **(kwargs or {}))
