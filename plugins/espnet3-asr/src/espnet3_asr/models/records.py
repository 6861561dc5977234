"""Records of the models."""

from __future__ import annotations

from espnet3_core.specs import ExportSpec, ModelSpec

_PROVIDES = ("sample_rate", "stats", "input_size", "encoder_size", "vocab_size")

MODELS = (
    ModelSpec(
        name="asr/ctc",
        target="espnet3_asr.models.ctc.model:CTCModel",
        config="espnet3_asr.models.ctc.config:CTCConfig",
        summary="Any encoder with a CTC output, optionally with intermediate CTC",
        tasks=("asr",),
        provides=_PROVIDES,
    ),
    ModelSpec(
        name="asr/ctc_attention",
        target="espnet3_asr.models.ctc_attention.model:CTCAttention",
        config="espnet3_asr.models.ctc_attention.config:CTCAttentionConfig",
        summary="Hybrid of CTC and an attention decoder over one encoder",
        tasks=("asr",),
        provides=_PROVIDES,
    ),
)

EXPORTS = (
    ExportSpec(
        format="onnx",
        system="asr/recognition",
        target="espnet3_asr.models.export:audio_to_log_probs",
        summary="audio to CTC log-probabilities, for onnxruntime",
    ),
    ExportSpec(
        format="sherpa-onnx",
        system="asr/recognition",
        target="espnet3_asr.models.export:features_to_log_probs",
        summary="features to CTC log-probabilities, for sherpa-onnx",
    ),
)
