"""The plugin `asr`."""
