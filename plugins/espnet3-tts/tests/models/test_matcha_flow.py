"""The parts of Matcha-TTS against what the papers' equations give."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from espnet3_speech.layers.attention import BlockContext
from espnet3_speech.layers.positions import PositionTable
from espnet3_tts.aligners.likelihoods import log_likelihoods
from espnet3_tts.encoders.config import FeedForwardTransformerConfig
from espnet3_tts.encoders.fft import FftBlock
from espnet3_tts.models.matcha.config import UNetConfig
from espnet3_tts.models.matcha.flow import euler, matching_loss, path, spread_times
from espnet3_tts.models.matcha.layers import MaskedGroupNorm, Snake, TransformerBlock
from espnet3_tts.models.matcha.unet import UNet


def test_the_path_by_hand():
    """x0 = 1, x1 = 3, sigma_min = 0.1, t = 0.25: (1 - 0.225) + 0.75 = 1.525, and 3 - 0.9 = 2.1."""
    noise, data = torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]]]), torch.tensor([[[3.0, -1.0]], [[3.0, -1.0]]])
    place, velocity = path(noise, data, torch.tensor([0.25, 1.0]), 0.1)
    torch.testing.assert_close(place, torch.tensor([[[1.525, 1.3]], [[3.1, -0.8]]]))
    torch.testing.assert_close(velocity, torch.tensor([[[2.1, -2.8]], [[2.1, -2.8]]]))


def test_the_velocity_is_the_derivative_of_the_place():
    torch.manual_seed(0)
    noise, data, time = torch.randn(2, 3, 4), torch.randn(2, 3, 4), torch.rand(2)
    _, derivative = torch.autograd.functional.jvp(
        lambda t: path(noise, data, t, 1e-2)[0], time, torch.ones(2)
    )
    torch.testing.assert_close(derivative, path(noise, data, time, 1e-2)[1])


def test_the_loss_by_hand():
    predicted = torch.tensor([[[1.0, 2.0], [3.0, 0.0]], [[0.0, 4.0], [9.0, math.nan]]])
    wanted = torch.tensor([[[0.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [0.0, 0.0]]])
    first, second = (1 + 4 + 9 + 0) / 4, (1 + 9) / 2
    found = matching_loss(predicted, wanted, torch.tensor([2, 1]))
    assert found.item() == pytest.approx((first + second) / 2)


@pytest.mark.parametrize("steps", [1, 4, 50])
def test_euler_of_equations_with_a_known_solution(steps):
    start = torch.tensor([1.0, -2.0], dtype=torch.float64)
    grown = euler(lambda x, t: x, start, steps)
    torch.testing.assert_close(grown, start * (1 + 1 / steps) ** steps)
    pushed = euler(lambda x, t: 2 * t, start, steps)  # times are those at the beginning of each step
    torch.testing.assert_close(pushed, start + (steps - 1) / steps)


def test_euler_is_of_first_order():
    start = torch.ones(1, dtype=torch.float64)
    errors = [float((euler(lambda x, t: x, start, steps) - math.e).abs()) for steps in (50, 100)]
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("steps", [1, 7])
def test_the_flow_to_a_point_is_straight(steps):
    """The field of Lipman et al. 2023, equation 21, whose solution is the path itself: exact in any step."""
    torch.manual_seed(0)
    noise, data = torch.randn(2, 3, 4).double(), torch.randn(2, 3, 4).double()

    def field(x, t):
        return (data - (1 - 0.1) * x) / (1 - (1 - 0.1) * t[:, None, None])

    torch.testing.assert_close(euler(field, noise, steps), data + 0.1 * noise)


def test_times_without_chance_are_spread():
    times = spread_times(torch.arange(1, 101), torch.zeros(()))
    counts = np.histogram(times.numpy(), bins=10, range=(0, 1))[0]
    assert counts.min() >= 9
    assert torch.equal(times[7:8], spread_times(torch.tensor([8]), torch.zeros(())))


def test_likelihoods_are_those_of_normal_distributions():
    torch.manual_seed(0)
    means, mel = torch.randn(2, 3, 5).double(), torch.randn(2, 4, 5).double()
    normal = torch.distributions.Normal(means[:, None], 1.0)
    wanted = normal.log_prob(mel[:, :, None]).sum(-1)
    torch.testing.assert_close(log_likelihoods(mel, means), wanted)
    with torch.autocast("cpu", torch.bfloat16):  # where the search would see sums with errors of several nats
        found = log_likelihoods(20 * mel.float(), 20 * means.float())
    torch.testing.assert_close(found, log_likelihoods(20 * mel, 20 * means).float())


def test_attention_sees_distances_only():
    """Of a block of the encoder: all positions may be shifted, and may not be mirrored."""
    torch.manual_seed(0)
    config = FeedForwardTransformerConfig(output_size=16, linear_units=24, kernels=(3, 3), positions="rope")
    block = FftBlock(config).double().eval()
    values, table = torch.randn(1, 9, 16).double(), PositionTable(8)
    valid = torch.ones(1, 9, 1, dtype=torch.bool)

    def said(positions):
        return block(values, BlockContext(valid, valid.view(1, 1, 1, 9), positions))

    here = said(table(9, values))
    torch.testing.assert_close(said(table(9, values, 13)), here)
    assert not torch.allclose(said(table(9, values).flip(0)), here, atol=1e-4)


def test_snake_by_its_formula():
    layer = Snake(2)
    with torch.no_grad():
        layer.frequency.copy_(torch.tensor([2.0, 1.0]).log())
        layer.amplitude.copy_(torch.tensor([4.0, 0.5]).log())
    found = layer(torch.tensor([[0.3, -1.0]]))
    wanted = [0.3 + math.sin(0.6) ** 2 / 4, -1 + math.sin(1.0) ** 2 / 0.5]
    assert found[0].tolist() == pytest.approx(wanted)


def test_group_norm_is_torchs_on_what_is_valid():
    torch.manual_seed(0)
    ours, theirs = MaskedGroupNorm(2, 6).double(), torch.nn.GroupNorm(2, 6).double()
    for name in ("weight", "bias"):
        getattr(ours, name).data.copy_(torch.randn(6))
        getattr(theirs, name).data.copy_(getattr(ours, name))
    values, lengths = torch.randn(2, 6, 7).double(), (7, 4)
    valid = torch.arange(7) < torch.tensor(lengths)[:, None]
    found = ours(values, valid.unsqueeze(1))
    for row, count in enumerate(lengths):
        torch.testing.assert_close(found[row, :, :count], theirs(values[row : row + 1, :, :count])[0])


def test_attention_of_the_unet_is_torchs():
    torch.manual_seed(0)
    config = UNetConfig(channels=(8,), attention_heads=2, head_size=4)
    block = TransformerBlock(config, 8).eval()
    torch.nn.init.zeros_(block.feed_forward[3].weight)
    torch.nn.init.zeros_(block.feed_forward[3].bias)
    theirs = torch.nn.MultiheadAttention(8, 2, bias=True, batch_first=True).eval()
    theirs.in_proj_weight.data.copy_(block.project.weight)
    theirs.in_proj_bias.data.zero_()
    theirs.out_proj.load_state_dict(block.out.state_dict())
    values, valid = torch.randn(2, 5, 8), torch.arange(5) < torch.tensor([[5], [3]])
    normal = block.norm_attention(values)
    wanted, _ = theirs(normal, normal, normal, key_padding_mask=~valid)
    torch.testing.assert_close(block(values, valid.unsqueeze(1)) - values, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("channels", [(8,), (8, 16), (8, 16, 24)])
def test_an_utterance_is_the_same_in_any_batch_at_any_length(channels):
    torch.manual_seed(0)
    config = UNetConfig(channels=channels, head_size=4, middle_blocks=1)
    unet = UNet(config, input_size=6, output_size=3, time_waves=4).double().eval()
    values, time = torch.randn(6, 13, 6).double(), torch.rand(6).double()
    lengths = torch.tensor([13, 12, 7, 5, 2, 1])
    seen = []
    hook = unet.down[-1].register_forward_pre_hook(lambda _, given: seen.append(given[1].sum((1, 2))))
    together = unet(values, lengths, time)
    hook.remove()
    halved = np.ceil(lengths.numpy() / 2 ** (len(channels) - 1))  # an odd frame at the end is not lost
    assert seen[0].tolist() == halved.tolist()
    assert together.shape == (6, 13, 3)
    for row, count in enumerate(lengths.tolist()):
        alone = unet(values[row : row + 1, :count], lengths[row : row + 1], time[row : row + 1])
        torch.testing.assert_close(together[row, :count], alone[0])
        assert not together[row, count:].any()
