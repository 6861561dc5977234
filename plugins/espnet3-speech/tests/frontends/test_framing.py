"""Frames in blocks."""

import pytest
import torch
from espnet3_speech.frontends.config import KaldiFbankConfig, LogMelConfig
from espnet3_speech.frontends.framing import map_frames
from espnet3_speech.frontends.kaldi_fbank import KaldiFbank
from espnet3_speech.frontends.log_mel import LogMel
from torch import Tensor, nn


@pytest.mark.parametrize("shape", [(3, 5000, 4), (5000, 2, 4), (2, 7, 4), (0, 9, 4)])
def test_many_frames_are_mapped_a_few_thousand_at_a_time(shape: tuple[int, int, int]) -> None:
    frames = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    sizes: list[int] = []

    def pairs(block: Tensor) -> Tensor:
        sizes.append(block.shape[0] * block.shape[1])
        return torch.stack([block.sum(-1), block.amax(-1)], dim=-1)

    assert torch.equal(map_frames(pairs, frames), torch.stack([frames.sum(-1), frames.amax(-1)], dim=-1))
    assert sum(sizes) == shape[0] * shape[1]
    assert max(sizes) <= max(4096, shape[0])


@pytest.mark.parametrize(
    "frontend", [LogMel(LogMelConfig(), sample_rate=8000), KaldiFbank(KaldiFbankConfig(), sample_rate=8000)]
)
def test_a_long_recording_has_the_features_and_gradients_of_its_parts(frontend: nn.Module) -> None:
    """A minute: more frames than one block. The parts are cut at a hop and compared away from the cut."""
    speech = torch.randn(1, 60 * 8000, generator=torch.Generator().manual_seed(0)).mul(0.1).requires_grad_()
    whole, _ = frontend(speech, torch.tensor([speech.shape[1]]))
    cut, margin = 30 * 8000, 10
    start, _ = frontend(speech[:, :cut], torch.tensor([cut]))
    end, _ = frontend(speech[:, cut:], torch.tensor([speech.shape[1] - cut]))
    assert whole.shape[1] > 4096
    frames = cut // frontend.hop
    torch.testing.assert_close(whole[:, : frames - margin], start[:, : frames - margin])
    torch.testing.assert_close(whole[:, frames + margin :], end[:, margin:])
    (of_whole,) = torch.autograd.grad(whole[:, frames + margin :].sum(), speech)
    (of_end,) = torch.autograd.grad(end[:, margin:].sum(), speech)
    torch.testing.assert_close(of_whole, of_end, rtol=1e-4, atol=1e-3)
