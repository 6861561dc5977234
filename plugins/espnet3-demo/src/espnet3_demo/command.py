"""``espnet3 demo``: from the command line to a page that answers."""

from __future__ import annotations

import argparse
import socket
import sys
from contextlib import nullcontext

from espnet3_core.config.roles import DemoConfig
from espnet3_core.errors import UserError


def run(arguments: argparse.Namespace) -> int:
    """Show the page until the process is stopped.

    Raises:
        UserError: The bundle cannot be loaded, no page can be made of it, or the port is taken.
    """
    import espnet3_core
    from espnet3_core.recipe.recipe import Recipe

    recipe = Recipe.load(arguments.recipe) if arguments.recipe else None
    with recipe.activate() if recipe else nullcontext():
        demo = _config(recipe)
        port = open_port(arguments.host, arguments.port)
        model = espnet3_core.load(arguments.bundle, device=arguments.device)
        from espnet3_demo.launch import launch, page_of

        launch(page_of(model, demo), demo, host=arguments.host, port=port, share=arguments.share, ready=_say)
    return 0


def _config(recipe: object) -> DemoConfig:
    if recipe is None:
        return DemoConfig()
    from espnet3_core.config.load import load_configs

    found: DemoConfig = load_configs(recipe, {"demo": "demo"}, [], ["demo"])["demo"].config  # type: ignore[arg-type]
    return found


def open_port(host: str, port: int) -> int:
    """The port, when it can be listened on; for 0 a free one.

    Raises:
        UserError: The port is taken, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: there is no such port", hint="0 to 65535; 0 takes a free one")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as found:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            chosen: int = found.getsockname()[1]
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="is another page running? --port chooses another one, --port 0 a free one",
        ) from None
    return chosen


def _say(address: str) -> None:
    print(f"espnet3 demo: {address}", file=sys.stderr, flush=True)
