"""Hybrid CTC/attention (``asr/ctc_attention``)."""
