"""The synthesis system: which stages a recipe for speech synthesis has."""

from __future__ import annotations

from espnet3_core.fields import FieldDeclaration
from espnet3_core.recipe.stages import (
    COLLECT_STATS,
    CREATE_DATASET,
    INFER,
    MEASURE,
    PACK_DEMO,
    PACK_MODEL,
    TRAIN,
    TRAIN_TOKENIZER,
    UPLOAD_DEMO,
    UPLOAD_MODEL,
)
from espnet3_core.specs import SystemSpec

SYNTHESIS = SystemSpec(
    name="tts/synthesis",
    stages=(
        CREATE_DATASET,
        TRAIN_TOKENIZER,
        COLLECT_STATS,
        TRAIN,
        INFER,
        MEASURE,
        PACK_MODEL,
        UPLOAD_MODEL,
        PACK_DEMO,
        UPLOAD_DEMO,
    ),
    inputs=(
        FieldDeclaration("text", "text", "what is to be said"),
        FieldDeclaration("speaker", "label", "who says it, where the model has several", optional=True),
    ),
    outputs=(FieldDeclaration("audio", "audio", "speech"),),
    provides=("vocab_size", "tokenizer", "sample_rate", "stats", "seed"),
    summary="Speech synthesis: text to audio",
    tasks=("tts",),
)
