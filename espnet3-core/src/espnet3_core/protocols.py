"""What implementations of each kind must offer. Structural: nothing has to inherit from these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Item = dict[str, Any]
"""One utterance: ``id`` and fields, such as ``speech`` (float32, (samples,)) and ``text`` (str)."""
Batch = dict[str, Any]
"""``ids: list[str]`` and, per field, ``<field>`` (padded) and ``<field>_lengths``."""


@runtime_checkable
class Dataset(Protocol):
    """Any map-style ``torch.utils.data.Dataset`` of dicts.

    Optional methods let core plan without decoding audio: ``ids() -> Sequence[str]``,
    ``lengths() -> Sequence[float]`` (seconds), and ``describe(index) -> dict`` (the fields that are not
    audio, read by metrics as references).
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Item: ...


class Tokenizer(Protocol):
    """Text to token ids. Built as ``target(config)``, then ``train`` or ``load``.

    ``tokens`` lists the vocabulary; id 0 is the CTC blank, ``unk_id`` stands for unknown symbols, and the
    last id, ``sos_id == eos_id``, starts and ends a sentence. Optional: ``extend(texts)`` adds tokens that
    texts need, before the last, for a training that begins from another model.
    """

    tokens: Sequence[str]
    blank_id: int
    unk_id: int
    sos_id: int
    eos_id: int

    def __len__(self) -> int: ...

    def train(self, texts: Iterable[str]) -> None:
        """Learn the vocabulary."""

    def save(self, directory: Path) -> None:
        """Write everything needed by :meth:`load`, with fixed file names."""

    def load(self, directory: Path) -> None:
        """Read what :meth:`save` wrote."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids; special tokens are left out."""


class Model(Protocol):
    """An ``nn.Module``.

    ``forward(**fields)`` takes the batch fields that it names and returns a mapping with ``loss`` (other
    scalars are logged; ``weight`` is the number of items it averages over), an object with ``.loss``, or
    ``(loss, stats, weight)``. With named optimizers it takes ``turn``, the name of the one whose loss is
    wanted, and if it likes ``shared``: see :mod:`espnet3_core.train.alternating`. Optional:
    ``infer(batch) -> list[dict]``; ``statistics_of`` (names of features whose statistics it wants) with
    ``collect_feats(**fields) -> {name, name_lengths}``; ``batch_invariant = False`` where what it says of an
    utterance depends on the others in its batch (or a module of it does so): it is then decoded alone.
    """

    def __call__(self, **fields: Any) -> Any: ...


class Module(Protocol):
    """A part of a model; its contract is its role's, stated by the package that builds on it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class Transform(Protocol):
    """A change to one item; ``rng`` is a ``numpy.random.Generator`` made from (seed, epoch, utterance id)."""

    def __call__(self, item: Item, rng: Any) -> Item: ...


class Collator(Protocol):
    """Items to a batch."""

    def __call__(self, items: Sequence[Item]) -> Batch: ...


class Search(Protocol):
    """Decoding with a trained model. Built as ``target(config, *, model, tokenizer, …)``.

    Optional: ``batch_invariant = False``, as models have it.
    """

    def infer(self, batch: Batch) -> list[dict[str, Any]]:
        """One result per id, in the order of the batch.

        Values are what JSON can say, tensors, or :class:`espnet3_core.infer.audio.Audio`, which the stage
        infer writes to files.
        """


class Publisher(Protocol):
    """Where bundles go."""

    def publish(self, bundle: Path, *, dry_run: bool = False) -> str:
        """Send a bundle; returns its address."""


class Page(Protocol):
    """Never implemented: a page is a function ``target(config, *, model, demo)``, or the recipe's own
    ``target(*, model, demo)``.

    ``model`` is a :class:`espnet3_core.bundle.model.LoadedModel`, ``demo`` the role's
    :class:`espnet3_core.config.roles.DemoConfig`; what it returns is what the plugin that runs pages takes:
    ``gradio.Blocks`` for espnet3-demo.
    """


class SynchronizedLayer(Protocol):
    """A layer of a model that can make its statistics over the batches of all processes together.

    Core sets ``synchronized`` to True when ``training.trainer.sync_batchnorm`` is set and several processes
    train. The layer then sums what it counts over them, in a way that gradients follow
    (``torch.distributed.nn.functional.all_reduce``); it asks the attribute at each forward pass.
    """

    synchronized: bool


class Optimizer(Protocol):
    """``target(config, *, parameters)`` returning a ``torch.optim.Optimizer``."""

    def step(self) -> Any: ...


class Scheduler(Protocol):
    """``target(config, *, optimizer, total_steps, steps_per_epoch)``; ``interval``: ``step``, ``epoch``."""

    def step(self) -> None: ...


class Callback(Protocol):
    """A ``lightning.Callback`` or ``lightning`` logger. Loggers get the need ``experiment`` (its folder)."""


class Executor(Protocol):
    """Runs work on shards of items.

    ``setup`` (picklable) is called once per worker and returns the function that handles one shard; each
    shard is a list of item indices. Yields ``(shard index, outcome)`` as shards finish, in any order;
    a shard whose worker died yields its :class:`espnet3_core.infer.executors.WorkerLost`.
    """

    def run(
        self, setup: Callable[[], Callable[[Sequence[int]], Any]], shards: Sequence[Sequence[int]]
    ) -> Iterator[tuple[int, Any]]: ...


class Field(Protocol):
    """A kind of value."""

    def check(self, value: Any, options: Mapping[str, Any]) -> None:
        """Raise UserError when ``value`` is not of this kind."""


class System(Protocol):
    """Never implemented: systems are records (:class:`espnet3_core.specs.SystemSpec`)."""
