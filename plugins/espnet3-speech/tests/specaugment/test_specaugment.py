import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_speech.specaugment.config import SpecAugmentConfig
from espnet3_speech.specaugment.specaugment import SpecAugment, warp_time

LENGTHS = torch.tensor([100, 60, 7, 1])


def features() -> torch.Tensor:
    ones = torch.ones(4, 100, 40)
    for row, length in enumerate(LENGTHS):
        ones[row, length:] = 0
    return ones


def test_only_training_is_augmented() -> None:
    module = SpecAugment(SpecAugmentConfig(time_warp=5)).eval()
    assert torch.equal(module(features(), LENGTHS), features())


def test_same_seed_same_masks_other_seed_other_masks() -> None:
    module = SpecAugment(SpecAugmentConfig(fill="zero"))
    torch.manual_seed(3)
    first = module(features(), LENGTHS)
    second = module(features(), LENGTHS)
    torch.manual_seed(3)
    assert torch.equal(first, module(features(), LENGTHS))
    assert not torch.equal(first, second)


def test_masks_are_bands_within_their_ranges() -> None:
    config = SpecAugmentConfig(
        freq_masks=1, freq_width=(3, 6), time_masks=1, time_width=(10, 20), fill="zero"
    )
    module = SpecAugment(config)
    seen_widths, seen_starts = set(), set()
    for seed in range(300):
        torch.manual_seed(seed)
        hidden = module(features(), LENGTHS)[0] == 0
        frequencies, times = hidden.all(0).nonzero().squeeze(1), hidden.all(1).nonzero().squeeze(1)
        for band, low, high in ((frequencies, 3, 6), (times, 10, 20)):
            assert low <= len(band) <= high
            assert band.tolist() == list(range(int(band[0]), int(band[0]) + len(band)))
        assert int(hidden.sum()) == len(frequencies) * 100 + len(times) * 40 - len(frequencies) * len(times)
        seen_widths.add(len(frequencies))
        seen_starts.add(int(frequencies[0]))
    assert seen_widths == {3, 4, 5, 6}
    assert {0, 34} <= seen_starts


def test_ratio_widths_follow_each_utterance_and_stay_within_it() -> None:
    module = SpecAugment(SpecAugmentConfig(freq_masks=0, time_masks=1, time_ratio=(0.1, 0.5), fill="zero"))
    largest = torch.zeros(4)
    for seed in range(200):
        torch.manual_seed(seed)
        out = module(features(), LENGTHS)
        covered = ((out == 0).all(2) & (features() == 1).all(2)).sum(1)
        largest = largest.maximum(covered.float())
        assert (covered <= LENGTHS * 0.5).all()
        assert (covered >= (LENGTHS * 0.1).floor()).all()
    assert largest.tolist() == [50, 30, 3, 0]


def test_mean_fill_keeps_padding_zero() -> None:
    module = SpecAugment(SpecAugmentConfig(fill="mean", time_ratio=(0.2, 0.4)))
    data = features() * 3
    torch.manual_seed(0)
    assert torch.allclose(module(data, LENGTHS), data)


def test_warping_moves_one_frame_and_keeps_the_ends() -> None:
    ramp = torch.arange(100.0).view(1, 100, 1).expand(4, 100, 2).contiguous()
    moved = 0.0
    for seed in range(50):
        torch.manual_seed(seed)
        warped = warp_time(ramp, LENGTHS, 5)
        assert warped[0, 0, 0] == 0
        assert warped[0, 99, 0] == pytest.approx(99, abs=1e-3)
        steps = warped[0, 1:, 0] - warped[0, :-1, 0]
        assert (steps > 0).all()
        distance = (warped[0, :, 0] - ramp[0, :, 0]).abs().max().item()
        assert distance <= 5 + 1e-3
        moved = max(moved, distance)
        # Beyond the utterance, and in utterances too short to warp, nothing moves.
        assert torch.equal(warped[1, 60:], ramp[1, 60:])
        assert torch.equal(warped[2:], ramp[2:])
    assert moved > 3


def test_no_masks_is_identity() -> None:
    module = SpecAugment(SpecAugmentConfig(freq_masks=0, time_masks=0))
    assert torch.equal(module(features(), LENGTHS), features())


def test_empty_ranges_are_refused() -> None:
    with pytest.raises(UserError, match="freq_width from 5 to 2"):
        SpecAugment(SpecAugmentConfig(freq_width=(5, 2)))
