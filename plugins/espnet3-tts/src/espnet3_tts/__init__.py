"""Speech synthesis for espnet3."""
