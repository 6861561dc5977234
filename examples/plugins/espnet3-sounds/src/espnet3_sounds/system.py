"""The system: core's stages, without a tokenizer."""

from __future__ import annotations

from espnet3_core.recipe.stages import (
    COLLECT_STATS,
    CREATE_DATASET,
    INFER,
    MEASURE,
    PACK_MODEL,
    TRAIN,
    UPLOAD_MODEL,
)
from espnet3_core.specs import SystemSpec

CLASSIFICATION = SystemSpec(
    name="sounds/classification",
    stages=(CREATE_DATASET, COLLECT_STATS, TRAIN, INFER, MEASURE, PACK_MODEL, UPLOAD_MODEL),
    provides=("sample_rate", "stats", "seed"),
    summary="Sounds to labels",
    tasks=("sounds",),
)
