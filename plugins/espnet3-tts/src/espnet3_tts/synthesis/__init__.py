"""Text to audio with a trained model (``tts/synthesis``)."""
