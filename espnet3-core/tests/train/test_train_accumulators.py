import torch
from espnet3_core.train.accumulators import MeanAccumulator, means_of


def test_weighted_means_of_scalars_that_do_not_always_come():
    accumulator = MeanAccumulator()
    accumulator.add({"loss": torch.tensor(2.0), "acc": torch.tensor(0.5)}, 3)
    accumulator.add({"loss": torch.tensor(4.0)}, torch.tensor(1.0))
    accumulator.add({"loss": torch.tensor(float("nan"))}, 5, torch.tensor(False))
    assert accumulator.means() == {"loss": 2.5, "acc": 0.5}


def test_splitting_at_any_place_changes_no_bit():
    values = torch.randn(30, generator=torch.Generator().manual_seed(0)).exp()
    whole = MeanAccumulator()
    for value in values:
        whole.add({"loss": value}, 3.0)
    for cut in range(31):
        first, second = MeanAccumulator(), MeanAccumulator()
        for value in values[:cut]:
            first.add({"loss": value}, 3.0)
        second.load(first.state(), torch.device("cpu"))
        for value in values[cut:]:
            second.add({"loss": value}, 3.0)
        assert second.means() == whole.means()


def test_ranks_are_weighted_by_what_they_saw():
    ranks = []
    for losses, weight in (([1.0, 2.0], 1), ([5.0], 2)):
        accumulator = MeanAccumulator()
        for loss in losses:
            accumulator.add({"loss": torch.tensor(loss)}, weight)
        ranks.append(accumulator.state())
    assert means_of(ranks) == {"loss": (1 + 2 + 5 * 2) / 4}
