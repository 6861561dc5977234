"""``espnet3 classify``."""

from __future__ import annotations

import argparse


def run(args: argparse.Namespace) -> int:
    """Print file, label and probability, one line each."""
    import espnet3_core

    for result in espnet3_core.load(args.model).batch(args.files):
        print(f"{result.id}\t{result.fields['label']}\t{result.fields['score']:.3f}")
    return 0
