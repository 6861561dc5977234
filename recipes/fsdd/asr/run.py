"""Runs this recipe: ``python run.py --stages train …`` is ``espnet3 run . --stages train …``."""

import sys
from pathlib import Path

from espnet3_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["run", str(Path(__file__).parent), *sys.argv[1:]]))
