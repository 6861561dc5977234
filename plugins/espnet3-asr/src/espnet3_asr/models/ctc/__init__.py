"""CTC (``asr/ctc``)."""
