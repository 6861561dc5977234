"""Records of the components, which name their implementations."""

from __future__ import annotations

from espnet3_core.specs import (
    CallbackSpec,
    ExportSpec,
    MetricSpec,
    ModelSpec,
    ModuleSpec,
    SearchSpec,
    TokenizerSpec,
)

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
    TokenizerSpec(
        name="tts/ipa",
        target=f"{_P}.text.ipa:Ipa",
        config=f"{_P}.text.config:IpaConfig",
        summary="International Phonetic Alphabet by espeak-ng, for its many languages",
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
        name="tts/windowed",
        role="encoder",
        target=f"{_P}.encoders.windowed:WindowedTransformer",
        config=f"{_P}.encoders.config:WindowedTransformerConfig",
        summary="Transformer with learned relative positions, as in VITS",
    ),
    ModuleSpec(
        name="tts/griffin_lim",
        role="vocoder",
        target=f"{_P}.vocoders.griffin_lim:GriffinLim",
        config=f"{_P}.vocoders.config:GriffinLimConfig",
        summary="Phases found by iteration; nothing to train",
        tasks=("tts",),
    ),
    ModuleSpec(
        name="tts/hifigan",
        role="vocoder",
        target=f"{_P}.vocoders.hifigan:HifiGanVocoder",
        config=f"{_P}.vocoders.config:HifiGanVocoderConfig",
        summary="A trained HiFi-GAN generator: of a bundle, or published weights",
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
    ModelSpec(
        name="tts/matcha",
        target=f"{_P}.models.matcha.model:Matcha",
        config=f"{_P}.models.matcha.config:MatchaConfig",
        summary="Matcha-TTS: from noise to spectrogram by flow matching",
        tasks=("tts",),
        provides=("sample_rate", "input_size"),
    ),
    ModelSpec(
        name="tts/hifigan",
        target=f"{_P}.models.hifigan.model:HifiGan",
        config=f"{_P}.models.hifigan.config:HifiGanConfig",
        summary="HiFi-GAN, trained by the named optimizers discriminator and generator",
        tasks=("tts",),
        provides=("sample_rate",),
    ),
    ModelSpec(
        name="tts/vits",
        target=f"{_P}.models.vits.model:Vits",
        config=f"{_P}.models.vits.config:VitsConfig",
        summary="VITS, text to waveform, trained by the named optimizers discriminator and generator",
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
        provides=("features", "sample_rate", "input_size", "seed", "recipe_dir"),
    ),
    SearchSpec(
        name="tts/copy_synthesis",
        target=f"{_P}.synthesis.copying:CopySynthesis",
        config=f"{_P}.synthesis.config:CopySynthesisConfig",
        summary="Recordings through features and vocoder: the best that a vocoder can do",
        tasks=("tts",),
        provides=("features", "sample_rate", "input_size", "seed", "recipe_dir"),
    ),
    SearchSpec(
        name="tts/alignment",
        target=f"{_P}.synthesis.aligning:Alignments",
        config=f"{_P}.synthesis.config:AlignmentsConfig",
        summary="Recordings with their texts: which frames belong to which token",
        tasks=("tts",),
    ),
)


def _metric(ident: str, target: str, config: str, summary: str) -> MetricSpec:
    return MetricSpec(
        name=f"tts/{ident}",
        target=f"{_P}.metrics.{target}",
        config=f"{_P}.metrics.config:{config}",
        summary=summary,
        tasks=("tts",),
    )


METRICS = (
    _metric(
        "mcd",
        "recordings:MelCepstralDistortion",
        "SpeechMetricConfig",
        "Mel-cepstral distortion in dB with dynamic time warping",
    ),
    _metric(
        "nearest_mcd",
        "nearest:NearestRecording",
        "NearestConfig",
        "Mel-cepstral distortion of the nearest recording of a dataset, such as the training set",
    ),
    _metric("f0_rmse", "recordings:PitchError", "PitchMetricConfig", "Root mean square error of F0 in Hz"),
    _metric("f0_correlation", "recordings:PitchCorrelation", "PitchMetricConfig", "Correlation of F0"),
    _metric(
        "voicing_error",
        "recordings:VoicingError",
        "PitchMetricConfig",
        "Frames with the wrong voicing in percent",
    ),
    _metric(
        "duration_error",
        "recordings:DurationError",
        "DurationMetricConfig",
        "Error of the duration in percent",
    ),
    _metric("wer", "judged:WordErrorRate", "IntelligibilityConfig", "Words that a recogniser gets wrong"),
    _metric(
        "cer", "judged:CharacterErrorRate", "IntelligibilityConfig", "Characters that a recogniser gets wrong"
    ),
    _metric(
        "speaker_similarity",
        "judged:SpeakerSimilarity",
        "SpeakerSimilarityConfig",
        "Cosine of speaker embeddings (resemblyzer)",
    ),
    _metric("dnsmos", "judged:Dnsmos", "DnsmosConfig", "Predicted quality from 1 to 5 (speechmos)"),
    _metric(
        "alignment_order",
        "alignment:AlignmentOrder",
        "AlignmentOrderConfig",
        "Utterances whose alignment keeps the order of tokens and leaves none out",
    ),
    _metric("rtf", "recordings:RealTimeFactor", "RealTimeFactorConfig", "Time of synthesis over duration"),
)

CALLBACKS = (
    CallbackSpec(
        name="tts/pictures",
        target=f"{_P}.callbacks.pictures:Pictures",
        config=f"{_P}.callbacks.config:PicturesConfig",
        summary="Alignments, spectrograms and samples of validation utterances",
        tasks=("tts",),
    ),
)

EXPORTS = (
    ExportSpec(
        format="onnx",
        system="tts/synthesis",
        target=f"{_P}.models.graphs:to_graphs",
        summary="tokens to spectrograms, or spectrograms to audio, for onnxruntime",
    ),
)
