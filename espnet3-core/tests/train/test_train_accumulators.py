import json
import math
import os
import subprocess
import sys
from fractions import Fraction

import pytest
import torch
from espnet3_core.train.accumulators import MeanAccumulator, means_of, merged
from hypothesis import given, settings
from hypothesis import strategies as st

SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)
WEIGHT = st.integers(0, 2**20)
STEPS = st.lists(st.tuples(SINGLE, WEIGHT), min_size=1, max_size=20)


def accumulated(steps):
    accumulator = MeanAccumulator()
    for value, weight in steps:
        accumulator.add({"loss": torch.tensor(value)}, weight)
    return accumulator


def exact_mean(steps):
    """Of the rational numbers that the floats are; the division of a fraction rounds once."""
    weight = sum(weight for _, weight in steps)
    return float(sum(Fraction(value) * weight for value, weight in steps) / weight) if weight else math.nan


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


def test_weighted_means_of_scalars_that_do_not_always_come():
    accumulator = MeanAccumulator()
    accumulator.add({"loss": torch.tensor(2.0), "acc": torch.tensor(0.5)}, 3)
    accumulator.add({"loss": torch.tensor(4.0)}, torch.tensor(1.0))
    accumulator.add({"loss": torch.tensor(float("nan"))}, 5, torch.tensor(False))
    assert accumulator.means() == {"loss": 2.5, "acc": 0.5}


@settings(deadline=None)
@given(STEPS)
def test_a_mean_is_the_exact_one_rounded_once(steps):
    assert same(accumulated(steps).means()["loss"], exact_mean(steps))


@settings(deadline=None)
@given(st.data(), STEPS, st.integers(1, 4))
def test_no_division_among_ranks_no_order_and_no_interruption_changes_a_bit(data, steps, ranks):
    shares = [[] for _ in range(ranks)]
    for step in data.draw(st.permutations(steps)):
        shares[data.draw(st.integers(0, ranks - 1))].append(step)
    states = []
    for share in shares:
        cut = data.draw(st.integers(0, len(share)))
        resumed = MeanAccumulator()
        resumed.load(accumulated(share[:cut]).state(), torch.device("cpu"))
        for value, weight in share[cut:]:
            resumed.add({"loss": torch.tensor(value)}, torch.tensor(float(weight)))
        states.append(resumed.state())
    expected = exact_mean(steps)
    assert same(means_of(states)["loss"], expected)
    assert same(means_of([merged(states[:1]), merged(states[1:])])["loss"], expected)


def test_where_plain_sums_lose_what_is_small():
    steps = [(1e30, 1), *[(1.0, 1)] * 8, (-1e30, 1)]
    assert accumulated(steps).means()["loss"] == 0.8


@pytest.mark.parametrize(
    ("values", "mean"),
    [((math.inf, 1.0), math.inf), ((-math.inf, 1.0), -math.inf), ((math.nan, 1.0), math.nan)],
)
def test_a_mean_with_a_value_that_is_not_finite_is_not_finite(values, mean):
    ranks = [accumulated([(value, 2)]).state() for value in values]
    for states in (ranks, ranks[::-1]):
        assert same(means_of(states)["loss"], mean)
    assert math.isnan(accumulated([(math.inf, 1), (-math.inf, 1)]).means()["loss"])


def test_ranks_are_weighted_by_what_they_saw():
    ranks = []
    for losses, weight in (([1.0, 2.0], 1), ([5.0], 2)):
        accumulator = MeanAccumulator()
        for loss in losses:
            accumulator.add({"loss": torch.tensor(loss)}, weight)
        ranks.append(accumulator.state())
    assert means_of(ranks) == {"loss": (1 + 2 + 5 * 2) / 4}


RANK = """
import json, sys
import torch
from espnet3_core.train.accumulators import MeanAccumulator

rank, store = int(sys.argv[1]), sys.argv[2]
torch.distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2)
steps = json.loads(sys.argv[3])
found = []
for cut in range(0, len(steps) + 1, 10):
    accumulator = MeanAccumulator()
    for value, weight in steps[:cut] if rank else steps[cut:]:
        accumulator.add({"loss": torch.tensor(value)}, weight)
    found.append(accumulator.reduced_means()["loss"].hex())
print(json.dumps(found))
torch.distributed.destroy_process_group()
"""


def test_two_processes_agree_to_the_bit_however_the_steps_are_shared_out(tmp_path):
    random = torch.Generator().manual_seed(0)
    losses = (20 * torch.randn(40, generator=random)).exp().tolist()
    steps = [(loss, 1 + index % 7) for index, loss in enumerate(losses)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path / "store"), json.dumps(steps)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in (0, 1)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    found = [json.loads(text) for text in outputs]
    assert found[0] == found[1] == [exact_mean(steps).hex()] * 5
