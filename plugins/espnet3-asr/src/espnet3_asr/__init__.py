"""asr plugin of espnet3."""
