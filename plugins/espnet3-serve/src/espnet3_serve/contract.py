"""What the server asks of a bundle: which kinds of values it takes and gives, and how results say them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from espnet3_core.bundle.load import LoadedModel
    from espnet3_core.bundle.results import Result


def gives(model: LoadedModel, kind: str) -> bool:
    """Whether a model declares an output of a kind (``text``, ``audio``).

    Bundles without declarations are recognisers: there was nothing else to pack before there were any.
    """
    declared: Any = getattr(model.manifest, "outputs", None)
    return kind in {field.kind for field in declared} if declared else kind == "text"


def spoken(result: Result) -> tuple[NDArray[np.float32], int]:
    """Samples of shape (samples,), full scale 1, and their rate in Hz, of a result that is audio."""
    raise NotImplementedError
