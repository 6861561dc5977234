"""VITS (``tts/vits``): text to waveform by one model, trained end to end against discriminators."""
