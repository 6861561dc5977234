"""``python -m espnet3_core.bundle.replay BUNDLE DEVICE``: the sample of a bundle in a process of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from espnet3_core.bundle.load import load
from espnet3_core.bundle.sample import differences
from espnet3_core.errors import UserError


def main(directory: str, device: str) -> int:
    """Print how the sample's results differ, as a JSON list; 2 and a message when it does not load."""
    try:
        print(json.dumps(differences(Path(directory), load(directory, device=device, verify=False))))
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
