"""HiFi-GAN (``tts/hifigan``): a neural vocoder and its discriminators."""
