"""Building a model whose weights are loaded next: to draw initial values for them would be wasted time."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_DRAWS = frozenset({"uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_"})
"""Methods of tensors, and functions of ``torch.nn.init`` that modes see as a whole."""


class WithoutDraws(TorchFunctionMode):
    """Within it, tensors that would be filled at random in place are filled with zeros."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Torch calls it in place of ``func``."""
        named = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWS and (args or "tensor" in named):
            with torch.no_grad():
                return (args[0] if args else named["tensor"]).zero_()
        return func(*args, **named)
