from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.bad_data import BadData, BadItem, allowed
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.loader import Loader, build_loader
from espnet3_core.data.manifest import Manifest
from espnet3_core.errors import CheckFailed, UserError

Tone = Callable[..., Path]
IDS = [f"{index:02d}" for index in range(12)]


@pytest.fixture
def folder(tone: Tone, tmp_path: Path) -> Path:
    rows = ["path\ttext"]
    for index, name in enumerate(IDS):
        tone(f"{name}.wav", 0.1 + 0.02 * index, rate=8000)
        rows.append(f"{name}.wav\tword {index}")
    (tmp_path / "m.tsv").write_text("\n".join(rows) + "\n")
    return tmp_path


def loader(
    folder: Path, policy: Any = "skip", limit: float = 12, *, workers: int = 0, **options: Any
) -> Loader:
    config = ManifestConfig(path=str(folder / "m.tsv"))
    corpus = Manifest(config, sample_rate=8000, recipe_dir=folder, lenient=policy != "stop")
    bad = BadData(policy, limit, count=len(corpus), file=folder / "bad.jsonl", name="dataset.train")
    items, batch = PreparedDataset(corpus, training=True), BatchConfig(size=2, workers=workers)
    return build_loader(items, batch, seed=1, bad=bad, **options)


def ids(one: Loader, epoch: int = 0, start: int = 0) -> list[list[str]]:
    one.set_epoch(epoch, start)
    return [batch["ids"] for batch in one]


def without(batches: Sequence[Sequence[str]], lost: set[str]) -> list[list[str]]:
    return [[name for name in batch if name not in lost] for batch in batches]


def listed(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "bad.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("world", [1, 2])
def test_a_bad_item_leaves_its_place_empty_and_nothing_else_changes(
    folder: Path, workers: int, world: int
) -> None:
    ranks = [{"rank": rank, "world_size": world} for rank in range(world)]
    clean = [[ids(loader(folder, **rank), epoch) for epoch in (0, 1)] for rank in ranks]
    lost = set(clean[0][0][1]) | {clean[-1][0][0][0]}  # a whole batch, and half of another one
    for name in lost:
        (folder / f"{name}.wav").write_bytes(b"")
    for rank, expected in zip(ranks, clean, strict=True):
        one = loader(folder, workers=workers, multiprocessing_context="fork" if workers else None, **rank)
        assert [ids(one, epoch) for epoch in (0, 1)] == [without(batches, lost) for batches in expected]
        assert ids(one, 1, 2) == without(expected[1][2:], lost)
    assert [] in without(clean[0][0], lost)
    found = {item["id"]: item for item in listed(folder)}
    assert set(found) == lost
    name = min(lost)
    assert found[name]["place"] == f"{folder}/m.tsv:{IDS.index(name) + 2}"
    assert found[name]["reason"] == f"{folder}/{name}.wav is empty (0 bytes)"


def test_a_batch_without_utterances_has_tensors_to_make_a_step_with(folder: Path) -> None:
    lost = ids(loader(folder))[2]
    for name in lost:
        (folder / f"{name}.wav").unlink()
    batches = list(loader(folder))
    assert batches[2]["ids"] == [] and batches[2]["speech"].shape[0] == 1
    assert len(batches) == 6


def test_quarantine_holds_until_the_list_is_shortened_and_a_resumed_run_repeats_itself(folder: Path) -> None:
    first = loader(folder, "quarantine")
    clean = [ids(first, epoch) for epoch in (0, 1, 2)]
    good = (folder / "05.wav").read_bytes()
    (folder / "05.wav").write_bytes(b"")
    assert ids(first, 1) == without(clean[1], {"05"})
    assert [item["epoch"] for item in listed(folder)] == [1]
    (folder / "05.wav").write_bytes(good)
    assert ids(first, 2) == without(clean[2], {"05"})
    resumed = loader(folder, "quarantine")
    # an epoch in which it was still good is repeated as it was
    assert [ids(resumed, epoch) for epoch in (0, 1, 2)] == [
        clean[0],
        *(without(c, {"05"}) for c in clean[1:]),
    ]
    resumed.bad.start_anew()
    assert ids(loader(folder, "quarantine")) == without(clean[0], {"05"})
    (folder / "bad.jsonl").unlink()
    assert ids(loader(folder, "quarantine")) == clean[0]


def test_skipped_items_are_tried_again(folder: Path) -> None:
    one = loader(folder)
    clean = ids(one)
    good = (folder / "05.wav").read_bytes()
    (folder / "05.wav").write_bytes(b"")
    assert ids(one) == without(clean, {"05"})
    (folder / "05.wav").write_bytes(good)
    assert ids(one) == clean


def test_over_the_limit_all_are_named(folder: Path) -> None:
    for name in ("03", "07", "09"):
        (folder / f"{name}.wav").unlink()
    with pytest.raises(UserError) as caught:
        ids(loader(folder, limit=2))
    message = str(caught.value)
    assert "dataset.train: 3 of 12 utterances cannot be used, and 2 are allowed" in message
    assert all(f"m.tsv:{line}: utterance" in message for line in (5, 9, 11))
    assert "max_errors" in message


def test_several_processes_count_together(tmp_path: Path) -> None:
    one, other = (BadData("skip", 2, file=tmp_path / "list.jsonl") for _ in range(2))
    one.report([BadItem("a", "gone", "m:2")])
    other.report([BadItem("b", "gone", "m:3"), BadItem("a", "gone", "m:2")])
    with pytest.raises(UserError, match=r"3 utterances cannot be used"):
        one.report([BadItem("c", "gone", "m:4")])
    assert len((tmp_path / "list.jsonl").read_text().splitlines()) == 3


def test_broken_lines_are_left_out_when_reading_is_lenient(folder: Path) -> None:
    manifest = folder / "m.tsv"
    manifest.write_text(manifest.read_text() + "00.wav\tagain\nonly one field\n")
    config = ManifestConfig(path=str(manifest))
    with pytest.raises(CheckFailed):
        Manifest(config, sample_rate=8000, recipe_dir=folder)
    corpus = Manifest(config, sample_rate=8000, recipe_dir=folder, lenient=True)
    assert corpus.ids() == IDS
    assert [finding.place for finding in corpus.findings] == [f"{manifest}:15", f"{manifest}:14"]


def test_lengths_of_bad_files_are_those_last_known_or_usual_ones(folder: Path) -> None:
    config = ManifestConfig(path=str(folder / "m.tsv"))

    def lengths() -> list[float]:
        corpus = Manifest(config, sample_rate=8000, recipe_dir=folder, lenient=True)
        return [round(float(value), 3) for value in corpus.lengths()]

    (folder / "11.wav").write_bytes(b"")
    assert lengths()[11] == 0.2  # the median of the others
    known = lengths()
    (folder / "03.wav").unlink()
    assert lengths() == lengths() == known


@pytest.mark.parametrize(
    ("limit", "count", "number"), [(5, 10, 5), (0.01, 1000, 10), (0.01, 20, 1), (0, 9, 0), (1.0, 7, 7)]
)
def test_limits_are_numbers_or_shares(limit: float, count: int, number: int) -> None:
    assert allowed(limit, count, "max_errors") == number


@pytest.mark.parametrize("limit", [-1, 1.5])
def test_other_limits_are_refused(limit: float) -> None:
    with pytest.raises(UserError, match=r"dataset\.max_errors"):
        BadData("skip", limit, key="dataset.on_error")
