"""Decoding: greedy CTC, CTC prefix beam, joint CTC/attention beam with language-model scorers."""
