"""The command ``espnet3 tts``."""
