"""Arguments of ``espnet3 serve``; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path

from espnet3_serve.limits import Limits


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the verb's parser."""
    usual = Limits()
    parser.epilog = (
        "example: espnet3 serve digits=exp/training/bundle --port 8000; "
        "then: curl -F file=@a.wav -F model=digits http://127.0.0.1:8000/v1/audio/transcriptions"
    )
    parser.add_argument(
        "bundles", nargs="+", metavar="[NAME=]BUNDLE",
        help="packed models; NAME is what clients call it (default: the folder, or what it lies in)",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1 (default: auto)")
    parser.add_argument(
        "--threads", type=int, metavar="N",
        help="threads of torch (default: $OMP_NUM_THREADS, else one less than there are processors)",
    )  # fmt: skip
    parser.add_argument(
        "--keys", type=Path, metavar="FILE",
        help="bearer keys, one a line; further ones in $ESPNET3_SERVE_KEYS, between commas (default: none)",
    )  # fmt: skip
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--batch", type=int, default=usual.batch, metavar="N",
        help=f"most recordings, or pieces of long ones, computed together (default: {usual.batch})",
    )  # fmt: skip
    group.add_argument(
        "--wait-ms", type=float, default=1000 * usual.wait, metavar="MS",
        help=f"how long a request waits for others to be computed with (default: {1000 * usual.wait:g})",
    )  # fmt: skip
    group.add_argument(
        "--queue", type=int, default=usual.queue, metavar="N",
        help=f"requests at a time; further ones get 429 and Retry-After (default: {usual.queue})",
    )  # fmt: skip
    group.add_argument(
        "--timeout", type=float, default=usual.timeout, metavar="S",
        help=f"seconds that a request may take (default: {usual.timeout:g})",
    )  # fmt: skip
    group.add_argument(
        "--max-mb", type=float, default=usual.bytes / 1e6, metavar="MB",
        help=f"largest upload (default: {usual.bytes / 1e6:g})",
    )  # fmt: skip
    group.add_argument(
        "--max-seconds", type=float, default=usual.seconds, metavar="S",
        help=f"longest recording (default: {usual.seconds:g})",
    )  # fmt: skip
    group.add_argument(
        "--max-characters", type=int, default=usual.characters, metavar="N",
        help=f"longest text to be spoken (default: {usual.characters})",
    )  # fmt: skip
