"""What a recipe makes reaches processes that are started anew (spawn): one test over the catalog.

A loader's workers, the processes of an executor and, away from Linux, every process get their objects
pickled. Each component is built here, sent to one spawned process, and must do there what it does here. A new
component without an entry in :data:`OPTIONS` fails.
"""

from __future__ import annotations

import multiprocessing
import pickle
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from espnet3_core.catalog import current_catalog
from espnet3_core.component import Component, Slot
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.collate import PadCollator
from espnet3_core.data.config import PadConfig
from espnet3_core.data.dataset import Key, PreparedDataset
from espnet3_core.data.loader import build_loader
from espnet3_core.specs import SystemSpec
from espnet3_core.train.shield import shielded

RATE = 8000
TEXTS = ["seven two one", "nine zero four zero", "pack my box with five dozen liquor jugs"] * 4
_BLOCKS = {"output_size": 8, "attention_heads": 2, "linear_units": 8, "num_blocks": 1}
_MANIFEST = {"name": "core/manifest", "path": "m.tsv"}
_CTC = {"frontend": {"name": "speech/log_mel", "n_mels": 20}, "encoder": {"name": "speech/tdnn"}}
_DECODER = {"name": "speech/transformer_decoder", **{k: v for k, v in _BLOCKS.items() if k != "output_size"}}

STAY = ("optimizer", "scheduler", "callback", "system")
"""Kinds that are made where training runs, in each process anew, and are sent nowhere."""

OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("dataset", "core/manifest"): {"path": "m.tsv"},
    ("dataset", "core/tar"): {"path": "a.tar"},
    ("dataset", "core/mixture"): {"datasets": {"a": _MANIFEST, "b": _MANIFEST}, "prefix_ids": True},
    ("tokenizer", "asr/char"): {},
    ("tokenizer", "asr/word"): {},
    ("tokenizer", "asr/byte"): {},
    ("tokenizer", "asr/lexicon"): {"words": {word: " ".join(word) for word in " ".join(TEXTS).split()}},
    ("tokenizer", "asr/bpe"): {"vocab_size": 40},
    ("tokenizer", "asr/unigram"): {"vocab_size": 30},
    ("transform", "core/gain"): {},
    ("transform", "core/speed"): {},
    ("transform", "core/noise"): {"path": "a.wav"},
    ("transform", "core/room_response"): {"path": "a.wav"},
    ("transform", "core/text_case"): {"case": "upper"},
    ("transform", "core/text_clean"): {},
    ("transform", "speech/specaugment"): {},
    ("collator", "core/pad"): {},
    ("metric", "asr/wer"): {"normalizers": ["lower"]},
    ("metric", "asr/cer"): {},
    ("metric", "asr/ter"): {},
    ("module", "speech/log_mel"): {"n_mels": 20},
    ("module", "speech/kaldi_fbank"): {"n_mels": 20},
    ("module", "speech/global_mvn"): {},
    ("module", "speech/utterance_mvn"): {},
    ("module", "speech/ctc"): {},
    ("module", "speech/transformer"): _BLOCKS,
    ("module", "speech/conformer"): _BLOCKS,
    ("module", "speech/fast_conformer"): {**_BLOCKS, "subsampling_channels": 8},
    ("module", "speech/e_branchformer"): {**_BLOCKS, "cgmlp_units": 8},
    ("module", "speech/rnn"): {"hidden_size": 8, "num_layers": 1},
    ("module", "speech/tdnn"): {"hidden_size": 8, "num_layers": 1},
    ("module", "speech/chain"): {"encoders": [{"name": "speech/rnn", "hidden_size": 8, "num_layers": 1}]},
    ("module", "speech/transformer_decoder"): {"attention_heads": 2, "linear_units": 8, "num_blocks": 1},
    ("model", "asr/ctc"): _CTC,
    ("model", "asr/ctc_attention"): {**_CTC, "decoder": _DECODER},
    ("search", "asr/ctc_greedy"): {},
    ("search", "asr/ctc_lexicon"): {},
    ("search", "asr/ctc_prefix_beam"): {},
    ("search", "asr/joint_beam"): {"ctc_weight": 1.0},
    ("executor", "core/in_process"): {},
    ("executor", "core/processes"): {},
    ("publisher", "core/directory"): {"path": "out"},
}
"""What each component needs to be set; {} for nothing."""


PACKAGES = ("core", "speech", "asr")


def components() -> list[Any]:
    """What core, speech and asr have, but for what is sent nowhere; other tasks have the conformance kit."""
    found = [one for one in current_catalog().components() if one.provider.namespace in PACKAGES]
    return [one for one in found if one.kind not in STAY and not isinstance(one.spec, SystemSpec)]


MADE = ("PreparedDataset", "Reader", "ReaderCollator", "BatchSampler", "worker_init_fn")
"""What a loader is made of."""


class Workshop:
    """Builds components as a recipe does, in a folder with a little data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rng = np.random.default_rng(0)
        soundfile.write(folder / "a.wav", rng.uniform(-0.5, 0.5, RATE).astype(np.float32), RATE)
        (folder / "a.txt").write_text("seven two")
        (folder / "m.tsv").write_text("id\tpath\ttext\nutt1\ta.wav\tseven two\nutt2\ta.wav\tone\n")
        with tarfile.open(folder / "a.tar", "w") as shard:
            for name in ("a.wav", "a.txt"):
                shard.add(folder / name, name)

    def component(self, kind: str, name: str, role: str | None = None) -> Any:
        """A component; trained, if it is one that is."""
        assert (kind, name) in OPTIONS, f"{kind} {name} needs an entry in OPTIONS"
        node = {"name": name, **OPTIONS[kind, name]}
        stats = SimpleNamespace(mean=np.zeros(20), std=np.ones(20), count=10)
        needs: dict[str, Any] = {
            "recipe_dir": self.folder,
            "sample_rate": RATE,
            "input_size": 20,
            "encoder_size": 8,
            "vocab_size": 13,
            "stats": stats if kind == "module" else {"features": stats},
        }
        if kind in ("metric", "search", "model"):
            chosen = "asr/lexicon" if name == "asr/ctc_lexicon" else "asr/char"
            needs["tokenizer"] = self.component("tokenizer", chosen)
        if kind == "search":
            needs["model"] = self.component("model", "asr/ctc")
        built = Component.from_node(node, Slot(kind, role if kind == "module" else None)).build(**needs)
        if hasattr(built, "train") and kind == "tokenizer":
            built.train(TEXTS)
        return built

    def loader(self) -> Any:
        """As training has it: augmented, tokenized, sorted out."""
        items = PreparedDataset(
            self.component("dataset", "core/manifest"),
            sample_rate=RATE,
            preprocess=[self.component("transform", "core/text_case")],
            transforms=[self.component("transform", name) for name in ("core/speed", "core/noise")],
            tokenizer=self.component("tokenizer", "asr/byte"),
            training=True,
        )
        return shielded(build_loader(items, BatchConfig(size=2, workers=1)))

    def objects(self) -> dict[str, tuple[str, Callable[[], Any]]]:
        """How each object is made, by name, with what it is to do."""
        found: dict[str, tuple[str, Callable[[], Any]]] = {}
        for one in components():
            use = f"{one.kind} {one.role}" if one.kind == "transform" else one.kind
            found[f"{one.kind} {one.name}"] = use, partial(self.component, one.kind, one.name, one.role)
        for name, part in zip(
            MADE, ("dataset.dataset", "dataset", "collate_fn", "batch_sampler", "worker_init_fn"), strict=True
        ):
            found[name] = name, partial(self._part, part)
        return found

    def _part(self, path: str) -> Any:
        found = self.loader()
        for attribute in path.split("."):
            found = getattr(found, attribute)
        return found


def use(how: str, thing: Any) -> Any:
    """What an object does, as something that can be compared."""
    item = {"id": "utt1", "text": "Seven-two", "speech": np.linspace(-0.5, 0.5, 800, dtype=np.float32)}
    uses: dict[str, Callable[[], Any]] = {
        "dataset": lambda: (list(thing.ids()), thing[0], list(thing.lengths())),
        "tokenizer": lambda: thing.encode(TEXTS[0]),
        "transform audio": lambda: thing(item, np.random.default_rng(1)),
        "transform text": lambda: thing(item),
        "collator": lambda: thing([item, item]),
        "PreparedDataset": lambda: thing[Key(3, 1)],
        "Reader": lambda: thing.__getitems__([Key(3, 1), Key(3, 0)]).items,
        "ReaderCollator": lambda: PadCollator(PadConfig())([item]).keys(),
        "BatchSampler": lambda: list(thing),
    }
    if isinstance(thing, torch.nn.Module):
        return digest({name: value.sum().item() for name, value in thing.state_dict().items()})
    return digest(uses[how]() if how in uses else type(thing).__qualname__)


def digest(value: Any) -> str:
    """Nested values with every number in them."""
    with np.printoptions(threshold=1 << 20, precision=9):
        torch.set_printoptions(profile="full")
        return repr(value)


def serve(connection: Any) -> None:
    """The spawned process: uses what it is sent, and says what came of it."""
    while (sent := connection.recv()) is not None:
        how, pickled = sent
        try:
            connection.send((use(how, pickle.loads(pickled)), ""))
        except Exception as error:
            connection.send((None, f"{type(error).__name__}: {error}"))


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, Any], Any]]:
    """Uses an object in the one process that all of them share."""
    context = multiprocessing.get_context("spawn")
    here, far = context.Pipe()
    process = context.Process(target=serve, args=(far,), daemon=True)
    process.start()
    far.close()  # so that the end of the process is the end of the connection

    def ask(how: str, thing: Any) -> Any:
        here.send((how, pickle.dumps(thing)))
        said, error = here.recv()
        assert not error, error
        return said

    yield ask
    if process.is_alive():
        here.send(None)
    process.join()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.mark.parametrize("name", [*(f"{one.kind} {one.name}" for one in components()), *MADE])
def test_does_in_a_spawned_process_what_it_does_here(
    name: str, workshop: Workshop, there: Callable[[str, Any], Any]
) -> None:
    how, make = workshop.objects()[name]
    thing = make()
    assert there(how, thing) == use(how, thing)


def test_every_entry_is_of_a_component() -> None:
    assert OPTIONS.keys() <= {(one.kind, one.name) for one in components()}
