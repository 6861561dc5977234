"""``espnet3 fetch SOURCE``: a bundle into the cache, so that it opens without a network."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.description = "Bring a bundle into the cache ($ESPNET3_CACHE) and print its folder."
    parser.epilog = "example: espnet3 fetch https://example.org/digits.zip#sha256=…"
    parser.add_argument("source", metavar="SOURCE", help="https://…#sha256=…, hf://org/name@revision, a file")


def run(args: argparse.Namespace) -> int:
    """Fetch, check and print."""
    from espnet3_core.bundle.check import check_bundle
    from espnet3_core.bundle.source import local_bundle

    folder = local_bundle(args.source)
    check_bundle(folder)
    print(folder)
    return 0
