"""uvicorn around the application: a socket, a warm model, and an end that leaves nothing unanswered."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import uvicorn

from espnet3_serve.app import create_app
from espnet3_serve.contract import gives
from espnet3_serve.keys import Keys
from espnet3_serve.limits import Limits
from espnet3_serve.service import Service

if TYPE_CHECKING:
    from types import FrameType

    from espnet3_core.bundle.model import LoadedModel

_log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Tells when it listens and when it has been asked to end."""

    def __init__(self, config: uvicorn.Config, service: Service, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._service = service
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._service.draining = True
        super().handle_exit(sig, frame)


def serve(
    models: Mapping[str, LoadedModel],
    limits: Limits,
    keys: Keys,
    listening: socket.socket,
    started: Callable[[], None],
) -> None:
    """Serve models until SIGTERM or SIGINT; requests that were accepted by then are answered.

    Args:
        models: Bundles by public name.
        limits: What is allowed.
        keys: Who may use it.
        listening: A bound socket.
        started: Called once connections are accepted.
    """
    service = Service(dict(models), limits, keys)
    for model in models.values():
        _warm(model)
    config = uvicorn.Config(
        create_app(service), http="httptools", log_level="warning", access_log=False, timeout_keep_alive=30
    )
    # uvicorn raises the signals again that ended it; they have done their work.
    formerly = {number: signal.signal(number, _ignore) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _Server(config, service, started).run(sockets=[listening])
    finally:
        for number, handler in formerly.items():
            signal.signal(number, handler)


def _ignore(number: int, frame: FrameType | None) -> None:
    return


def _warm(model: LoadedModel) -> None:
    """Compute a second of silence: the first call of a model takes several times as long as the next."""
    if model.sample_rate is None or not gives(model, "text"):
        return
    try:
        model.batch([np.zeros(model.sample_rate, np.float32)], sample_rate=model.sample_rate)
    except Exception as error:
        # Silence is not what it was made for: requests will show whether it works.
        _log.warning("%s: could not compute a second of silence: %s", model.directory, error)
