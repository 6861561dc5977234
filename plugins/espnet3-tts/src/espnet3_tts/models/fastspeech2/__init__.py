"""FastSpeech 2 with a learned aligner (``tts/fastspeech2``)."""
