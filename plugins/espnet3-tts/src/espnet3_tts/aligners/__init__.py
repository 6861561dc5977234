"""Alignment of tokens with frames, learned without durations."""
