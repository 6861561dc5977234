"""The plugin ``speech``: records of all bricks."""

from __future__ import annotations

from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import ModuleSpec, TransformSpec


def _module(ident: str, role: str, target: str, config: str, summary: str) -> ModuleSpec:
    package = "espnet3_speech"
    return ModuleSpec(
        name=f"speech/{ident}",
        role=role,
        target=f"{package}.{target}",
        config=f"{package}.{config}",
        summary=summary,
    )


@hookimpl
def espnet3_modules() -> tuple[ModuleSpec, ...]:
    """Front ends, normalizers, encoders, decoders and CTC."""
    fronts, norms, encoders = "frontends.config", "normalizers.config", "encoders.config"
    return (
        _module(
            "log_mel", "frontend", "frontends.log_mel:LogMel", f"{fronts}:LogMelConfig", "Log-mel spectrogram"
        ),
        _module(
            "kaldi_fbank",
            "frontend",
            "frontends.kaldi_fbank:KaldiFbank",
            f"{fronts}:KaldiFbankConfig",
            "Kaldi-compatible filter-bank energies",
        ),
        _module(
            "global_mvn",
            "normalizer",
            "normalizers.mvn:GlobalMVN",
            f"{norms}:GlobalMVNConfig",
            "Mean and variance of the training data",
        ),
        _module(
            "utterance_mvn",
            "normalizer",
            "normalizers.mvn:UtteranceMVN",
            f"{norms}:UtteranceMVNConfig",
            "Mean and variance of each utterance",
        ),
        _module(
            "transformer",
            "encoder",
            "encoders.transformer:TransformerEncoder",
            f"{encoders}:TransformerConfig",
            "Transformer encoder",
        ),
        _module(
            "conformer",
            "encoder",
            "encoders.conformer:ConformerEncoder",
            f"{encoders}:ConformerConfig",
            "Conformer encoder",
        ),
        _module(
            "fast_conformer",
            "encoder",
            "encoders.fast_conformer:FastConformerEncoder",
            f"{encoders}:FastConformerConfig",
            "Conformer with 8x depthwise-separable subsampling",
        ),
        _module(
            "e_branchformer",
            "encoder",
            "encoders.e_branchformer:EBranchformerEncoder",
            f"{encoders}:EBranchformerConfig",
            "E-Branchformer encoder",
        ),
        _module("rnn", "encoder", "encoders.rnn:RNNEncoder", f"{encoders}:RNNConfig", "LSTM or GRU encoder"),
        _module(
            "tdnn",
            "encoder",
            "encoders.tdnn:TDNNEncoder",
            f"{encoders}:TDNNConfig",
            "Convolutions over time with residual connections",
        ),
        _module(
            "chain",
            "encoder",
            "encoders.chain:ChainEncoder",
            f"{encoders}:ChainConfig",
            "Encoders one after the other",
        ),
        _module(
            "transformer_decoder",
            "decoder",
            "decoders.transformer:TransformerDecoder",
            "decoders.config:TransformerDecoderConfig",
            "Transformer decoder",
        ),
        _module("ctc", "ctc", "losses:CTC", "config:CTCConfig", "CTC output layer and loss"),
    )


@hookimpl
def espnet3_transforms() -> tuple[TransformSpec, ...]:
    """Augmentation of features."""
    return (
        TransformSpec(
            name="speech/specaugment",
            domain="features",
            target="espnet3_speech.specaugment.specaugment:SpecAugment",
            config="espnet3_speech.specaugment.config:SpecAugmentConfig",
            summary="Time warping, frequency and time masks",
        ),
    )
