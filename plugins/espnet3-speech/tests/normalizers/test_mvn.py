import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_speech.normalizers.config import GlobalMVNConfig, UtteranceMVNConfig
from espnet3_speech.normalizers.mvn import GlobalMVN, UtteranceMVN


def stats(size: int) -> SimpleNamespace:
    return SimpleNamespace(mean=np.arange(size, dtype=float), std=np.full(size, 2.0), count=100)


def test_global_statistics_make_zero_mean_and_unit_variance() -> None:
    random = np.random.default_rng(0)
    data = random.normal(5.0, 3.0, size=(200, 4))
    measured = SimpleNamespace(mean=data.mean(0), std=data.std(0), count=200)
    normalizer = GlobalMVN(GlobalMVNConfig(), input_size=4, stats=measured)
    out, _ = normalizer(torch.from_numpy(data).unsqueeze(0), torch.tensor([200]))
    assert out[0].mean(0).tolist() == pytest.approx([0.0] * 4, abs=1e-6)
    assert out[0].std(0, correction=0).tolist() == pytest.approx([1.0] * 4, rel=1e-6)


def test_global_statistics_travel_in_the_state_dict_and_in_pickles() -> None:
    filled = GlobalMVN(GlobalMVNConfig(), input_size=3, stats=stats(3))
    empty = GlobalMVN(GlobalMVNConfig(), input_size=3)
    features, lengths = torch.randn(2, 5, 3), torch.tensor([5, 2])
    with pytest.raises(UserError, match="no feature statistics"):
        empty(features, lengths)
    empty.load_state_dict(filled.state_dict())
    out, _ = empty(features, lengths)
    assert torch.equal(out, filled(features, lengths)[0])
    assert torch.equal(out, pickle.loads(pickle.dumps(filled))(features, lengths)[0])
    assert out[1, 2:].eq(0).all()


def test_an_empty_state_leaves_it_unusable() -> None:
    normalizer = GlobalMVN(GlobalMVNConfig(), input_size=3, stats=stats(3))
    normalizer.load_state_dict(GlobalMVN(GlobalMVNConfig(), input_size=3).state_dict())
    with pytest.raises(UserError, match="no feature statistics"):
        normalizer(torch.randn(1, 2, 3), torch.tensor([2]))


def test_statistics_of_other_features_are_refused() -> None:
    with pytest.raises(UserError, match="statistics of 4 dimensions for features of 3"):
        GlobalMVN(GlobalMVNConfig(), input_size=3, stats=stats(4))


@pytest.mark.parametrize(("means", "variances"), [(True, False), (True, True), (False, True)])
def test_utterance_statistics_leave_padding_out(means: bool, variances: bool) -> None:
    normalizer = UtteranceMVN(UtteranceMVNConfig(norm_means=means, norm_vars=variances), input_size=3)
    features, lengths = torch.randn(3, 9, 3).double() * 4 + 7, torch.tensor([9, 4, 1])
    out, _ = normalizer(features, lengths)
    for row, length in enumerate(lengths.tolist()):
        data = features[row, :length].numpy()
        expected = data - data.mean(0) if means else data
        if variances and length > 1:
            expected = expected / data.std(0)
        if length > 1:
            assert out[row, :length].numpy() == pytest.approx(expected)
        assert out[row, length:].eq(0).all()
    assert out.isfinite().all()


def test_padding_may_hold_anything() -> None:
    normalizer = UtteranceMVN(UtteranceMVNConfig(norm_vars=True), input_size=2)
    features, lengths = torch.randn(1, 6, 2), torch.tensor([4])
    poisoned = features.clone()
    poisoned[:, 4:] = float("nan")
    assert torch.equal(normalizer(features, lengths)[0], normalizer(poisoned, lengths)[0])


def test_autocast_does_not_reach_them() -> None:
    features, lengths = torch.randn(1, 50, 3) + 30, torch.tensor([50])
    for module in (
        UtteranceMVN(UtteranceMVNConfig(), input_size=3),
        GlobalMVN(GlobalMVNConfig(), input_size=3, stats=stats(3)),
    ):
        plain, _ = module(features, lengths)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed, _ = module(features, lengths)
        assert torch.equal(plain, mixed)
