"""The recognition system: which stages a recipe for speech recognition has."""

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

RECOGNITION = SystemSpec(
    name="asr/recognition",
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
    provides=("vocab_size", "tokenizer", "sample_rate", "stats", "seed"),
    summary="Speech recognition: audio to text, with times",
    tasks=("asr",),
    inputs=(FieldDeclaration("speech", "audio", "one utterance"),),
    outputs=(
        FieldDeclaration("text", "text", "what was said"),
        FieldDeclaration("words", "segments", "words with their times", optional=True),
        FieldDeclaration("score", "number", "log-probability of the search", optional=True),
    ),
)
