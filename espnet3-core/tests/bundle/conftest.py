"""Lets the tests of bundles import what they share, by the names that records give."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
