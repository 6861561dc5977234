"""Arguments of ``espnet3 classify``; imports nothing heavy."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add them to the verb's parser."""
    parser.epilog = "example: espnet3 classify door.wav --model exp/training/bundle"
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio files")
    parser.add_argument("--model", required=True, metavar="BUNDLE", help="folder of a packed model")
