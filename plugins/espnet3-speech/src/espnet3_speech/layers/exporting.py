"""Whether torch writes a module down as a graph, where tables and strides of one size have no place."""

from __future__ import annotations

import torch


def exporting() -> bool:
    """True within ``torch.export``, and within ``torch.compile`` where torch cannot tell them apart."""
    return bool(getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)())
