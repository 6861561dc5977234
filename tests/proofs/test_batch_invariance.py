"""Every combination of first-party parts gives the same output alone and in any batch: over the catalog.

Each part by itself, with each of its choices, passes the conformance kit, in its package. Here are their
combinations, taken from the catalog, so that a new component is covered as soon as it is registered; one that
cannot be built from its defaults at this size fails until it has an entry in :data:`SMALL`.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from espnet3_asr.searches.encoding import encode
from espnet3_core.catalog import current_catalog
from espnet3_core.component import Component, Slot
from espnet3_core.testing.choices import choices_of

FIRST_PARTY = ("espnet3-asr", "espnet3-speech")
RATE = 8000
BARS = {torch.float32: 1e-4, torch.float64: 1e-9}
SURE = 1e-4
"""Texts must agree unless the best two differ by less."""

_BLOCKS = {"output_size": 16, "attention_heads": 2, "linear_units": 24, "num_blocks": 2}
SMALL: dict[tuple[str, str], dict[str, Any]] = {
    ("frontend", "speech/log_mel"): {"n_mels": 20},
    ("frontend", "speech/kaldi_fbank"): {"n_mels": 20},
    ("normalizer", "speech/global_mvn"): {},
    ("normalizer", "speech/utterance_mvn"): {},
    ("encoder", "speech/transformer"): {**_BLOCKS},
    ("encoder", "speech/conformer"): {**_BLOCKS, "conv_kernel": 7},
    ("encoder", "speech/fast_conformer"): {**_BLOCKS, "subsampling_channels": 8},
    ("encoder", "speech/e_branchformer"): {
        **_BLOCKS,
        "cgmlp_units": 20,
        "cgmlp_kernel": 7,
        "merge_kernel": 5,
    },
    ("encoder", "speech/rnn"): {"hidden_size": 8, "num_layers": 2},
    ("encoder", "speech/tdnn"): {"hidden_size": 8, "num_layers": 2},
    ("encoder", "speech/chain"): {
        "encoders": [
            {"name": "speech/tdnn", "hidden_size": 8, "num_layers": 2},
            {"name": "speech/rnn", "hidden_size": 8, "num_layers": 1},
        ]
    },
    ("decoder", "speech/transformer_decoder"): {"attention_heads": 2, "linear_units": 24, "num_blocks": 2},
    ("model", "asr/ctc"): {"intermediate_layers": [1]},
    ("model", "asr/ctc_attention"): {"intermediate_layers": [1]},
    ("search", "asr/ctc_greedy"): {},
    ("search", "asr/ctc_lexicon"): {},
    ("search", "asr/ctc_prefix_beam"): {"beam_size": 4, "nbest": 2},
    ("search", "asr/joint_beam"): {"beam_size": 3, "nbest": 2, "max_length_ratio": -6},
}
"""Options that make each component small. A component without an entry is an error."""

FURTHER: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("frontend", "speech/log_mel"): [{"dynamic_range_db": 60.0}, {"gain_window_ms": 100.0}],
    ("frontend", "speech/kaldi_fbank"): [{"dither": 1.0}, {"preemphasis": 0.0}],
    ("encoder", "speech/rnn"): [{"output_size": 12}],
}
"""Choices that annotations do not list."""

ROLES = ("frontend", "normalizer", "encoder", "decoder")
USUAL = {"frontend": "speech/log_mel", "normalizer": "speech/utterance_mvn", "encoder": "speech/conformer"}


@dataclass(frozen=True)
class Part:
    """A component with options that differ from its defaults."""

    role: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def node(self) -> dict[str, Any]:
        """As a recipe writes it."""
        assert (self.role, self.name) in SMALL, f"{self.role} {self.name} needs an entry in SMALL"
        return {"name": self.name, **SMALL[self.role, self.name], **self.options}

    def __str__(self) -> str:
        return "-".join([self.name.partition("/")[2], *(f"{k}={v}" for k, v in self.options.items())])


def registered(kind: str, role: str) -> list[str]:
    """Names of what first-party plugins register."""
    entries = current_catalog().components(kind, role if kind == "module" else None)
    return sorted(entry.name for entry in entries if entry.provider.distribution in FIRST_PARTY)


def parts_of(role: str) -> list[Part]:
    """All components of a role, with their defaults."""
    return [Part(role, name) for name in registered(role if role in ("model", "search") else "module", role)]


def choices(part: Part) -> Iterator[Part]:
    """The part with each other value of each option that lists its values, and those of :data:`FURTHER`."""
    record = current_catalog().find("module", part.name, part.role, "").spec
    for options in (*choices_of(record.config, {}), *FURTHER.get((part.role, part.name), ())):
        yield Part(part.role, part.name, options)


@dataclass(frozen=True)
class Case:
    """A model and the searches to run on it."""

    model: Part
    parts: tuple[Part, ...] = ()
    searches: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, (self.model, *self.parts, *self.searches)))


def short_cases() -> Iterator[Case]:
    """Each component in each model, with every search."""
    models, searches = parts_of("model"), tuple(parts_of("search"))
    for role in ROLES:
        takers = models if role != "decoder" else [Part("model", "asr/ctc_attention")]
        for part in parts_of(role):
            yield from (Case(model, (part,), searches) for model in takers)


def full_cases() -> Iterator[Case]:
    """All models with all combinations of components and all searches, and every choice with all of them."""
    models, searches = parts_of("model"), tuple(parts_of("search"))
    roles = [parts_of(role) for role in ROLES if role != "decoder"]
    for model, *parts in itertools.product(models, *roles):
        yield Case(model, tuple(parts), searches)
    for role in ROLES:
        for part in parts_of(role):
            takers = models if role != "decoder" else [Part("model", "asr/ctc_attention")]
            yield from (Case(model, (choice,), searches) for model in takers for choice in choices(part))


class Letters:
    """The tokenizer: ``<blank> a … h <sos/eos>``."""

    tokens = ("<blank>", *"abcdefgh", "<sos/eos>")
    blank_id, eos_id, sos_id = 0, 9, 9
    spellings: Mapping[str, tuple[int, ...]] = {"a": (1,), "ab": (1, 2), "dhc": (4, 8, 3), "ff": (6, 6)}

    def __len__(self) -> int:
        return len(self.tokens)

    def decode(self, ids: Any) -> str:
        """Letters without spaces."""
        return "".join(self.tokens[index] for index in ids if index not in (0, self.eos_id))


def build(case: Case, dtype: torch.dtype) -> torch.nn.Module:
    """The model with random weights and statistics that no normalization can skip unseen."""
    torch.manual_seed(3)
    chosen = {role: Part(role, name) for role, name in USUAL.items()} | {p.role: p for p in case.parts}
    node = {**case.model.node, **{role: part.node for role, part in chosen.items()}}
    if "decoder" not in node and case.model.name != "asr/ctc":
        node["decoder"] = Part("decoder", "speech/transformer_decoder").node
    frontend = Component.from_node(node["frontend"], Slot("module", "frontend")).build(sample_rate=RATE)
    size = frontend.output_size
    stats = SimpleNamespace(mean=np.linspace(-3, 1, size), std=np.linspace(0.5, 2, size), count=100)
    model: torch.nn.Module = Component.from_node(node, Slot("model")).build(
        vocab_size=len(Letters()), sample_rate=RATE, stats={"features": stats}, tokenizer=Letters()
    )
    for name, value in [*model.named_buffers(), *model.named_parameters()]:
        if "running" in name:
            value.uniform_(0.5, 2.0)
        elif name.endswith("out.weight"):
            value.data.mul_(8)  # decided outputs: texts that ties may not excuse
    return model.to(dtype).eval()


def recordings(case: Case, dtype: torch.dtype) -> list[torch.Tensor]:
    """Recordings of random lengths: from a single sample, through parts of a window, to most of a second."""
    rng = np.random.default_rng(zlib.crc32(str(case).encode()))
    samples = [1, *(int(rng.integers(low, high)) for low, high in RANGES)]
    rng.shuffle(samples)
    return [torch.from_numpy(rng.standard_normal(count) * 0.1).to(dtype) for count in samples]


RANGES = ((2, 150), (150, 400), (400, 1200), (1200, 3000), (3000, 6000))


def batch_of(audio: list[torch.Tensor], rows: list[int]) -> dict[str, Any]:
    """A batch; what stands in its padding must not matter."""
    chosen = [audio[row] for row in rows]
    return {
        "ids": [str(row) for row in rows],
        "speech": torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True, padding_value=0.3),
        "speech_lengths": torch.tensor([len(audio[row]) for row in rows]),
    }


def log_probs(model: Any, batch: Mapping[str, Any]) -> list[dict[str, torch.Tensor]]:
    """Everything that the model says of each utterance: CTC, and the decoder after a given text."""
    utterances = encode(model, batch)
    said, lengths = {"ctc": utterances.ctc}, {"ctc": utterances.frames}
    if hasattr(model, "decoder"):
        counts = torch.tensor([1 + int(name) for name in batch["ids"]])
        text = torch.arange(1, 1 + int(counts.max())).remainder(9).expand(len(counts), -1)
        logits = model.decoder(text, counts, utterances.memory, utterances.lengths.clamp(min=1))
        said["decoder"], lengths["decoder"] = logits.log_softmax(-1), counts.tolist()
    return [
        {name: values[row, : lengths[name][row]] for name, values in said.items()}
        for row in range(len(batch["ids"]))
    ]


def search_of(part: Part, model: Any) -> Any:
    """A search on the model; one that can use a decoder goes without where there is none."""
    options = {} if hasattr(model, "decoder") or part.name != "asr/joint_beam" else {"ctc_weight": 1.0}
    component = Component.from_node({**part.node, **options}, Slot("search"))
    return component.build(model=model, tokenizer=Letters(), vocab_size=len(Letters()), device="cpu")


@pytest.mark.parametrize("case", [*short_cases()], ids=str)
@pytest.mark.parametrize("dtype", BARS, ids=str)
def test_alone_and_in_any_batch(case: Case, dtype: torch.dtype) -> None:
    check(case, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*full_cases()], ids=str)
@pytest.mark.parametrize("dtype", BARS, ids=str)
def test_all_combinations(case: Case, dtype: torch.dtype) -> None:
    check(case, dtype)


def check(case: Case, dtype: torch.dtype) -> None:
    """Compare each utterance alone with itself in a batch of all, and in pairs."""
    model, audio = build(case, dtype), recordings(case, dtype)
    everyone = list(range(len(audio)))
    pairs = [everyone[start : start + 2][::-1] for start in range(0, len(everyone), 2)]
    searches = [search_of(part, model) for part in case.searches]
    with torch.inference_mode():
        alone = [log_probs(model, batch_of(audio, [row]))[0] for row in everyone]
        found = [[search.infer(batch_of(audio, [row]))[0] for row in everyone] for search in searches]
        for rows in (everyone, *pairs):
            batch = batch_of(audio, rows)
            for row, said in zip(rows, log_probs(model, batch), strict=True):
                same_log_probs(alone[row], said, BARS[dtype])
            for search, single in zip(searches, found, strict=True):
                for row, result in zip(rows, search.infer(batch), strict=True):
                    same_result(single[row], result, alone[row], BARS[dtype])


def same_log_probs(
    alone: Mapping[str, torch.Tensor], batched: Mapping[str, torch.Tensor], bar: float
) -> None:
    """Equal shapes, and values within the bar."""
    for name, values in alone.items():
        assert values.shape == batched[name].shape
        assert values.isfinite().all()
        assert not values.numel() or (values - batched[name]).abs().max() <= bar, name


def same_result(alone: Any, batched: Any, said: Mapping[str, torch.Tensor], bar: float) -> None:
    """Equal score and text; another text only where the best two are as good as equal."""
    assert alone["score"] == pytest.approx(batched["score"], abs=bar)
    if alone["text"] != batched["text"]:
        assert lead(alone, said["ctc"]) < SURE, (alone, batched)
        return
    assert alone.get("token_times") == batched.get("token_times")
    assert alone.get("words") == batched.get("words")


def lead(result: Any, ctc: torch.Tensor) -> float:
    """By how much the best text is ahead of the second; of a greedy one, the closest decision of a frame."""
    scores = [entry["score"] for entry in result["nbest"]]
    if len(scores) > 1:
        return float(scores[0] - scores[1])
    best = ctc.topk(2, -1).values
    return float((best[:, 0] - best[:, 1]).min())
