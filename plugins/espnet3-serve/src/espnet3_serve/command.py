"""``espnet3 serve``: from the command line to a server that listens."""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from espnet3_core.errors import UserError

from espnet3_serve.keys import read_keys
from espnet3_serve.limits import Limits

if TYPE_CHECKING:
    from espnet3_core.bundle.model import LoadedModel

_NAMED = re.compile(r"([\w.-]+(?:/[\w.-]+)?)=(.+)")


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, and finish what was accepted.

    Raises:
        UserError: A bundle cannot be loaded, two have one name, a limit makes no sense, or the port is taken.
    """
    limits = limits_of(arguments)
    bundles = named(arguments.bundles)
    keys = read_keys(arguments.keys)
    listening = listen(arguments.host, arguments.port)
    with listening:
        _pin_threads(arguments.threads)
        models = {name: _load(bundle, arguments.device) for name, bundle in bundles.items()}
        from espnet3_serve.server import serve

        host, port = listening.getsockname()[:2]
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        serve(models, limits, keys, listening, lambda: _say(f"{', '.join(models)} on {address}"))
    return 0


def limits_of(arguments: argparse.Namespace) -> Limits:
    """The limits that were chosen.

    Raises:
        UserError: One of them lets nothing through.
    """
    for option in ("batch", "queue", "timeout", "max_mb", "max_seconds", "max_characters"):
        value = getattr(arguments, option)
        if not value > 0:
            raise UserError(
                f"--{option.replace('_', '-')} {value:g} lets nothing through", hint="more than 0"
            )
    if not arguments.wait_ms >= 0:
        raise UserError(f"--wait-ms {arguments.wait_ms:g} is negative", hint="0 does not wait; 5 is usual")
    return Limits(
        batch=arguments.batch,
        wait=arguments.wait_ms / 1000,
        queue=arguments.queue,
        timeout=arguments.timeout,
        bytes=int(arguments.max_mb * 1e6),
        seconds=arguments.max_seconds,
        characters=arguments.max_characters,
    )


def named(words: Sequence[str]) -> dict[str, str]:
    """Bundles by public name, from ``[NAME=]BUNDLE``.

    Raises:
        UserError: Two of them have one name.
    """
    found: dict[str, str] = {}
    for word in words:
        match = None if Path(word).exists() else _NAMED.fullmatch(word)
        name, bundle = match.groups() if match else (default_name(word), word)
        if name in found:
            raise UserError(
                f"{found[name]} and {bundle} would both be called {name!r}",
                hint=f"give one a name: NAME={bundle}",
            )
        found[name] = bundle
    return found


def default_name(bundle: str) -> str:
    """What a bundle is called: its folder or archive, or what ``bundle`` lies in.

    >>> default_name("exp/conformer/bundle"), default_name("digits.zip"), default_name("hf://org/digits@v1")
    ('conformer', 'digits', 'digits')
    """
    plain = re.split(r"[#@?]", bundle.rpartition("://")[2])[0]
    parts = [part for part in Path(plain).parts if part not in ("/", ".", "..")] or [
        Path(plain).resolve().name
    ]
    name = re.sub(r"\.(zip|tar|tar\.gz|tgz)$", "", parts[-1])
    return parts[-2] if name == "bundle" and len(parts) > 1 else name


def listen(host: str, port: int) -> socket.socket:
    """A socket on an address; nothing is accepted yet.

    Raises:
        UserError: The port is taken, or the address is not this machine's.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port}: there is no such port", hint="0 to 65535; 0 takes a free one")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="is another server running? --port chooses another one, --port 0 a free one",
        ) from None
    return found


def _load(bundle: str, device: str) -> LoadedModel:
    import espnet3_core

    return espnet3_core.load(bundle, device=device)


def _pin_threads(chosen: int | None) -> None:
    """Leave a processor to the event loop and to decoding, unless told otherwise."""
    import torch

    from espnet3_serve.service import processors

    if chosen is not None and chosen < 1:
        raise UserError(f"--threads {chosen}: at least one is needed")
    if chosen is not None or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(chosen or max(1, processors() - 1))


def _say(message: str) -> None:
    print(f"espnet3 serve: {message}", file=sys.stderr, flush=True)
