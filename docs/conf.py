"""Sphinx: ``nox -s docs`` builds the site, with warnings as errors."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "espnet3"
author = "The espnet3 authors"
project_copyright = "The espnet3 authors, Apache-2.0"
extensions = ["myst_parser", "reference"]
html_theme = "furo"
html_title = "espnet3"
exclude_patterns = ["_build"]
nitpicky = True
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
suppress_warnings = ["misc.highlighting_failure"]
