"""Arguments of ``espnet3 demo``; imports nothing heavy."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to the verb's parser."""
    parser.epilog = "example: espnet3 demo exp/training/bundle --port 7860"
    parser.add_argument(
        "bundle", metavar="BUNDLE", help="a packed model: a folder, a zip or tar, or an address"
    )
    parser.add_argument(
        "--recipe", type=Path, metavar="FOLDER",
        help="take title, limits and own page from this recipe's conf/demo.yaml (default: none of it)",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: 127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=7860, help="0 takes a free one (default: 7860)")
    parser.add_argument(
        "--share",
        action="store_true",
        help="make a public address on gradio.live, too; needs a network",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1 (default: auto)")
