"""The models that are served, each with its batcher, and what they share."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean

from espnet3_serve.batcher import Batcher
from espnet3_serve.contract import Inputs, compute, gives
from espnet3_serve.errors import APIError, failure
from espnet3_serve.gate import Gate
from espnet3_serve.keys import Keys
from espnet3_serve.limits import Limits
from espnet3_serve.meters import Meters

if TYPE_CHECKING:
    from espnet3_core.bundle.model import LoadedModel
    from espnet3_core.bundle.results import Result

T = TypeVar("T")


@dataclass(frozen=True)
class Served:
    """A model under its public name.

    Attributes:
        name: What clients call it.
        model: The bundle.
        batcher: Computes utterances.
        created: When it was loaded, in seconds since 1970.
    """

    name: str
    model: LoadedModel
    batcher: Batcher[Inputs, Result]
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def sample_rate(self) -> int:
        """Rate in Hz at which the model works."""
        return self.model.sample_rate or 16_000

    async def compute(self, utterances: Sequence[Inputs], param: str) -> list[Result]:
        """Results of utterances, in order.

        Args:
            utterances: Their inputs.
            param: The parameter of the request that they come from.

        Raises:
            APIError: The model cannot process one of them: 400 when it says why, else 500.
        """
        try:
            return await self.batcher.submit(utterances)
        except UserError as error:
            raise APIError.of(error, param) from None
        except Exception as error:
            raise failure(error) from None


class Service:
    """All that answers requests.

    Args:
        models: Bundles by public name.
        limits: What is allowed.
        keys: Who may use it.
    """

    def __init__(self, models: dict[str, LoadedModel], limits: Limits, keys: Keys) -> None:
        self.limits = limits
        self.keys = keys
        self.meters = Meters()
        self.gate = Gate(limits.queue)
        self.meters.working.set_function(lambda: self.gate.inside)
        self.models = {
            name: Served(name, model, self._batcher(name, model)) for name, model in models.items()
        }
        self.draining = False
        self._decoders = ThreadPoolExecutor(max(1, processors()), thread_name_prefix="decoder")

    def _batcher(self, name: str, model: LoadedModel) -> Batcher[Inputs, Result]:
        size, wait = self.limits.batch, self.limits.wait
        observe = self.meters.batches.labels(name).observe
        return Batcher(partial(compute, model), size=size, wait=wait, observe=observe)

    def start(self) -> None:
        """Begin to work; from within the event loop."""
        for served in self.models.values():
            served.batcher.start()

    async def stop(self) -> None:
        """End, once all requests have been answered."""
        for served in self.models.values():
            await served.batcher.stop()
        self._decoders.shutdown()

    @property
    def ready(self) -> bool:
        """Whether requests are taken."""
        return not self.draining and all(served.batcher.alive for served in self.models.values())

    def find(self, name: str, kind: str) -> Served:
        """The model of a name, which gives text of audio, or audio of text.

        Raises:
            APIError: 404, there is none; 400, it gives something else.
        """
        fitting = [served.name for served in self.models.values() if gives(served.model, kind)]
        if name not in self.models:
            hint = did_you_mean(name, fitting, otherwise=f"there are {', '.join(fitting) or 'none for this'}")
            raise APIError(404, f"there is no model {name!r}; {hint}", param="model", code="model_not_found")
        if name not in fitting:
            others = f"those that do are {', '.join(fitting)}" if fitting else "no model here does"
            raise APIError(400, f"the model {name!r} gives no {kind}; {others}", param="model")
        return self.models[name]

    async def in_thread(self, action: Callable[..., T], *arguments: Any) -> T:
        """Do what takes long, such as decoding, beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._decoders, action, *arguments)

    async def within(self, work: Awaitable[T], began: float, status: int) -> T:
        """Wait for a part of a request as long as the whole may take.

        Args:
            work: The part.
            began: When the request came, by the event loop's clock.
            status: What to answer when it takes too long.

        Raises:
            APIError: It takes too long.
        """
        try:
            async with asyncio.timeout_at(began + self.limits.timeout):
                return await work
        except TimeoutError:
            raise APIError(
                status,
                f"the request took longer than {self.limits.timeout:g} s; send a shorter one, or try again",
                kind="timeout_error",
                code="timeout",
                headers={"Retry-After": str(self.gate.retry_after)},
            ) from None


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
