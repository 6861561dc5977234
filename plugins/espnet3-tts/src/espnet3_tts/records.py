"""Records of the components, which name their implementations."""

from __future__ import annotations

from espnet3_core.specs import ModelSpec, ModuleSpec, SearchSpec, TokenizerSpec

_P = "espnet3_tts"

TOKENIZERS = (
    TokenizerSpec(
        name="tts/characters",
        target=f"{_P}.text.characters:Characters",
        config=f"{_P}.text.config:CharactersConfig",
        summary="Letters of English text, numbers and abbreviations written out",
        tasks=("tts",),
    ),
    TokenizerSpec(
        name="tts/arpabet",
        target=f"{_P}.text.arpabet:Arpabet",
        config=f"{_P}.text.config:ArpabetConfig",
        summary="Phones of the CMU dictionary, letter-to-sound for other words",
        tasks=("tts",),
    ),
)

MODULES = (
    ModuleSpec(
        name="tts/features",
        role="frontend",
        target=f"{_P}.features.features:Features",
        config=f"{_P}.features.config:FeaturesConfig",
        summary="Log-mel spectrogram, energy and fundamental frequency",
        tasks=("tts",),
    ),
    ModuleSpec(
        name="tts/fft",
        role="encoder",
        target=f"{_P}.encoders.fft:FeedForwardTransformer",
        config=f"{_P}.encoders.config:FeedForwardTransformerConfig",
        summary="Transformer with convolutions, as in FastSpeech",
    ),
    ModuleSpec(
        name="tts/griffin_lim",
        role="vocoder",
        target=f"{_P}.vocoders.griffin_lim:GriffinLim",
        config=f"{_P}.vocoders.config:GriffinLimConfig",
        summary="Phases found by iteration; nothing to train",
        tasks=("tts",),
    ),
)

MODELS = (
    ModelSpec(
        name="tts/fastspeech2",
        target=f"{_P}.models.fastspeech2.model:FastSpeech2",
        config=f"{_P}.models.fastspeech2.config:FastSpeech2Config",
        summary="FastSpeech 2 with an aligner learned inside",
        tasks=("tts",),
        provides=("sample_rate", "input_size"),
    ),
)

SEARCHES = (
    SearchSpec(
        name="tts/synthesizer",
        target=f"{_P}.synthesis.synthesizer:Synthesizer",
        config=f"{_P}.synthesis.config:SynthesizerConfig",
        summary="Text to audio, sentence by sentence, with control of speed, pitch and energy",
        tasks=("tts",),
        provides=("features", "sample_rate", "input_size"),
    ),
)
