from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.augment import Gain
from espnet3_core.data.config import GainConfig, ManifestConfig
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.loader import Loader, build_loader, within
from espnet3_core.data.manifest import Manifest
from espnet3_core.errors import UserError

Tone = Callable[..., Path]


@pytest.fixture
def corpus(tone: Tone, tmp_path: Path) -> Manifest:
    rows = ["path\ttext"]
    for index in range(12):
        tone(f"{index:02d}.wav", 0.1 + 0.02 * index, rate=8000)
        rows.append(f"{index:02d}.wav\tword {index}")
    (tmp_path / "m.tsv").write_text("\n".join(rows) + "\n")
    return Manifest(ManifestConfig(path=str(tmp_path / "m.tsv")), sample_rate=8000, recipe_dir=tmp_path)


def loader(corpus: Manifest, workers: int = 0, **options: Any) -> Loader:
    data = PreparedDataset(corpus, transforms=[Gain(GainConfig())], training=True, seed=1)
    return build_loader(data, BatchConfig(seconds=1.0, workers=workers), seed=1, **options)


def in_threads(corpus: Manifest, threads: int = 2) -> Loader:
    data = PreparedDataset(corpus, transforms=[Gain(GainConfig())], training=True, seed=1)
    return build_loader(data, BatchConfig(seconds=1.0, threads=threads), seed=1)


def contents(loader: Loader) -> list[tuple[list[str], float]]:
    return [(batch["ids"], float(batch["speech"].sum())) for batch in loader]


def test_errors_in_workers_are_as_readable_as_elsewhere(corpus: Manifest, tmp_path: Path) -> None:
    corpus.lengths()
    one = loader(corpus, 1, multiprocessing_context="fork")
    (tmp_path / "03.wav").write_bytes(b"")
    with pytest.raises(UserError) as caught:
        contents(one)
    assert str(caught.value).startswith(f"{tmp_path}/m.tsv:5: utterance '03': {tmp_path}/03.wav is empty")
    assert "Traceback" not in str(caught.value)


def test_batches_are_the_same_with_spawned_workers_in_every_epoch_and_after_a_restart(
    corpus: Manifest,
) -> None:
    alone, workers = loader(corpus), loader(corpus, 1, multiprocessing_context="spawn")
    seen = []
    for epoch in range(2):
        alone.set_epoch(epoch)
        workers.set_epoch(epoch)
        seen.append(contents(alone))
        assert contents(workers) == seen[-1]
        assert sorted(name for ids, _ in seen[-1] for name in ids) == corpus.ids()
    assert seen[0] != seen[1]
    again = loader(corpus)
    again.set_epoch(1, start_batch=2)
    assert contents(again) == seen[1][2:]


def test_threads_make_the_same_batches_in_every_epoch_and_after_a_restart(corpus: Manifest) -> None:
    alone, threads = loader(corpus), in_threads(corpus)
    computing = torch.get_num_threads()
    for epoch in range(2):
        alone.set_epoch(epoch)
        threads.set_epoch(epoch)
        expected = contents(alone)
        assert contents(threads) == expected
    threads.set_epoch(1, start_batch=2)
    assert contents(threads) == expected[2:]
    assert threads.waited > 0
    assert torch.get_num_threads() == computing


def test_loading_threads_leave_the_threads_of_others_alone(corpus: Manifest) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        for _ in in_threads(corpus):
            with ThreadPoolExecutor(1) as later:
                assert later.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_errors_in_threads_come_in_their_turn_and_end_the_threads(corpus: Manifest, tmp_path: Path) -> None:
    corpus.lengths()
    one = in_threads(corpus)
    (tmp_path / "03.wav").write_bytes(b"")
    batches = iter(one)
    seen: list[str] = []
    with pytest.raises(UserError, match=r"m.tsv:5: utterance '03': .*03.wav is empty"):
        seen.extend(name for batch in batches for name in batch["ids"])
    order = [key.item for keys in one.batch_sampler for key in keys]
    assert [int(name) for name in seen] == order[: len(seen)]
    assert 3 in order[len(seen) : len(seen) + 12]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_workers_and_threads_together_are_refused(corpus: Manifest) -> None:
    with pytest.raises(UserError, match=r"batch.workers is 1 and batch.threads is 2"):
        build_loader(PreparedDataset(corpus), BatchConfig(size=2, workers=1, threads=2))


def test_global_randomness_is_left_alone(corpus: Manifest) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    contents(loader(corpus))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index, union-attr]


def test_length_bounds_leave_out_and_count(corpus: Manifest) -> None:
    one = loader(corpus, min_seconds=0.13, max_seconds=0.25)
    assert sorted(name for ids, _ in contents(one) for name in ids) == [f"{n:02d}" for n in range(2, 8)]
    assert one.left_out == 6
    with pytest.raises(UserError, match="all 12 utterances"):
        loader(corpus, min_seconds=10)
    assert within([1.0, 2.0, 3.0], 2, None).tolist() == [False, True, True]


def test_ranks_get_different_utterances(corpus: Manifest) -> None:
    ids = [
        [name for batch, _ in contents(loader(corpus, rank=rank, world_size=2)) for name in batch]
        for rank in range(2)
    ]
    assert sorted(ids[0] + ids[1]) == corpus.ids()


def test_unknown_lengths_are_measured_when_seconds_need_them(corpus: Manifest) -> None:
    class Bare:
        def __len__(self) -> int:
            return len(corpus)

        def __getitem__(self, index: int) -> dict[str, Any]:
            return corpus[index]

    one = build_loader(PreparedDataset(Bare()), BatchConfig(seconds=1.0), sample_rate=8000)
    assert sorted(name for ids, _ in contents(one) for name in ids) == corpus.ids()
    with pytest.raises(UserError, match="has no lengths"):
        build_loader(PreparedDataset(Bare()), BatchConfig(seconds=1.0))


def test_an_empty_dataset_is_an_error() -> None:
    with pytest.raises(UserError, match="dataset is empty"):
        build_loader(PreparedDataset([]), BatchConfig(size=1))


def test_the_length_is_that_of_the_epoch_and_padding_is_known(corpus: Manifest) -> None:
    one = loader(corpus)
    assert len(one) == len(list(one))
    assert one.batch_sampler.waste() < 0.1
