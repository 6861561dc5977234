import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_speech.layers.subsampling import (
    ConvSubsampling,
    DepthwiseSubsampling,
    FrameStacking,
    input_layer,
)
from torch import nn

KINDS = ["conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "conv1d2", "linear", "stack"]


def layer(kind: str) -> nn.Module:
    if kind == "dw_striding":
        return DepthwiseSubsampling(40, 8, 8)
    return input_layer(kind, 40, 8, 3, 0.0)


@pytest.mark.parametrize("kind", [*KINDS, "dw_striding"])
def test_every_length_alone_and_in_a_batch(kind: str) -> None:
    module = layer(kind).double().eval()
    lengths = torch.arange(1, 41)
    features = torch.randn(40, 45, 40, dtype=torch.float64)
    together, frames = module(features, lengths)
    assert torch.equal(frames, module.output_lengths(lengths))
    for row, length in enumerate(lengths.tolist()):
        alone, count = module(features[row : row + 1, :length], lengths[row : row + 1])
        assert count.item() == frames[row].item() == alone.shape[1]
        assert torch.allclose(alone[0], together[row, : frames[row]], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "frames"),
    [("conv2d", 24), ("conv2d2", 47), ("conv2d6", 15), ("conv2d8", 11), ("conv1d2", 48), ("linear", 100)],
)
def test_frame_rates(kind: str, frames: int) -> None:
    # 100 frames: unpadded kernels lose their rims.
    assert layer(kind).output_lengths(torch.tensor([100])).tolist() == [frames]  # type: ignore[operator]


def test_depthwise_subsampling_keeps_an_eighth() -> None:
    module = DepthwiseSubsampling(80, 16, 24)
    out, lengths = module(torch.randn(2, 81, 80), torch.tensor([81, 64]))
    assert out.shape == (2, 11, 24)
    assert lengths.tolist() == [11, 8]


@pytest.mark.parametrize("kind", [*KINDS, "dw_striding"])
def test_no_frames_at_all(kind: str) -> None:
    out, lengths = layer(kind)(torch.zeros(2, 0, 40), torch.tensor([0, 0]))
    assert out.shape[1] == 1
    assert lengths.tolist() == [1, 1]
    assert out.isfinite().all()


def test_padding_may_hold_anything() -> None:
    features = torch.randn(1, 20, 40)
    poisoned = features.clone()
    poisoned[:, 15:] = float("nan")
    for kind in [*KINDS, "dw_striding"]:
        module = layer(kind).eval()
        expected, frames = module(features, torch.tensor([15]))
        out, _ = module(poisoned, torch.tensor([15]))
        assert torch.equal(out[:, : frames[0]], expected[:, : frames[0]]), kind


def test_stacking_concatenates_frames() -> None:
    features = torch.arange(10.0).view(1, 5, 2)
    out, lengths = FrameStacking(2, 2)(features, torch.tensor([5]))
    assert out.tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 0]]]
    assert lengths.tolist() == [3]


def test_too_few_features_are_refused() -> None:
    with pytest.raises(UserError, match="needs more than 5 features"):
        ConvSubsampling("conv2d", 5, 8)
