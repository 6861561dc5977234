"""Arguments of ``espnet3 asr``; imports nothing heavy."""

from __future__ import annotations

import argparse

FORMATS = ("txt", "json", "srt", "vtt")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the verb's parser."""
    parser.epilog = "example: espnet3 asr talk.wav --model exp/training/bundle --format srt"
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="FILE | DIR | -",
        help="audio files, folders of them, or - for audio on stdin",
    )
    parser.add_argument(
        "--model",
        metavar="BUNDLE",
        help="packed model: folder, zip or address (default: $ESPNET3_ASR_MODEL, else the only exp/*/bundle here)",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default="txt",
        help="text, JSON with word times, or subtitles (default: txt)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE | DIR/",
        help="write there, not to stdout; a folder gets one file for each recording",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1 (default: auto)")
    parser.add_argument(
        "--max-seconds",
        type=float,
        default=30.0,
        metavar="S",
        help="cut longer recordings where they are quietest, into pieces of at most S seconds (default: 30)",
    )
