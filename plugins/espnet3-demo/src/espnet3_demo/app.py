"""What ``app.py`` of a packed page does."""

from __future__ import annotations

import sys
from pathlib import Path

from espnet3_core.errors import UserError


def main(file: str) -> None:
    """Show the page of the folder that ``file`` lies in; a message and exit code 2 when it cannot be."""
    try:
        _show(Path(file).resolve().parent)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _show(directory: Path) -> None:
    import espnet3_core

    from espnet3_demo.launch import launch, page_of
    from espnet3_demo.space import read_settings

    demo = read_settings(directory)
    beside = directory / (demo.bundle or "")
    model = espnet3_core.load(str(beside) if beside.is_dir() else demo.bundle or "")
    launch(page_of(model, demo), demo)
