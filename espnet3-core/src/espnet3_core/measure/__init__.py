"""Scores over results: the metric interface, intervals, and the stage ``measure``."""
