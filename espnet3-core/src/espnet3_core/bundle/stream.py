"""Audio that comes in pieces."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from espnet3_core.bundle.results import Result
from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from espnet3_core.bundle.model import LoadedModel


class Stream:
    """One recording, piece by piece; made by :meth:`espnet3_core.bundle.model.LoadedModel.stream`.

    A search or model that decodes as it listens has ``open_stream(sample_rate)``, which returns an object
    with ``accept(samples) -> dict | None`` and ``finish() -> dict``; its partial results are passed on. Any
    other gets the whole recording in :meth:`finish`, so that programs need one way for both.

    Example::

        with model.stream(sample_rate=16000) as stream:
            for piece in microphone:
                if (partial := stream.accept(piece)) is not None:
                    print(partial.text)
            print(stream.finish().text)

    Attributes:
        sample_rate: Rate of the pieces in Hz.
        seconds: Duration of what has been accepted.
    """

    def __init__(self, model: LoadedModel, owner: Any, sample_rate: int | None) -> None:
        rate = sample_rate or model.sample_rate
        if model.inputs[0].kind != "audio" or rate is None:
            raise UserError(f"{model.directory}: only models that take audio, of a known rate, have streams")
        self.sample_rate = rate
        self.seconds = 0.0
        self._model = model
        self._pieces: list[NDArray[Any]] = []
        self._listener = owner.open_stream(rate) if callable(getattr(owner, "open_stream", None)) else None
        self._open = True

    def accept(self, samples: NDArray[Any]) -> Result | None:
        """Take the next samples ``(samples,)``; returns what is known so far, or None.

        Raises:
            UserError: The stream is finished, or the samples are not one channel.
        """
        self._require_open()
        if samples.ndim != 1:
            raise UserError(f"samples of shape {samples.shape}; one channel is wanted")
        self.seconds += len(samples) / self.sample_rate
        if self._listener is None:
            self._pieces.append(np.array(samples))
            return None
        record = self._listener.accept(samples)
        return None if record is None else Result.of("stream", self.seconds, record)

    def finish(self) -> Result:
        """The result of the whole recording; nothing can follow.

        Raises:
            UserError: The stream is finished already.
        """
        self._require_open()
        self._open = False
        if self._listener is not None:
            return Result.of("stream", self.seconds, self._listener.finish())
        if not any(len(piece) for piece in self._pieces):
            return Result("stream")
        return self._model(np.concatenate(self._pieces), sample_rate=self.sample_rate)

    def _require_open(self) -> None:
        if not self._open:
            raise UserError("this stream is finished", hint="open another with model.stream()")

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = False
        self._pieces.clear()
