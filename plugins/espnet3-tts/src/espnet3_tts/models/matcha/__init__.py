"""Matcha-TTS: flow matching from text to spectrogram (``tts/matcha``)."""
