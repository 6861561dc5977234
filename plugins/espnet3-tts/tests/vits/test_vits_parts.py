"""The parts of VITS beside Jacobians, closed forms, samples and enumeration."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_tts.aligners.likelihoods import log_likelihoods
from espnet3_tts.encoders.config import WindowedTransformerConfig
from espnet3_tts.encoders.windowed import WindowedAttention, WindowedTransformer
from espnet3_tts.models.noise import utterance_noise
from espnet3_tts.models.vits.config import DurationConfig, VitsConfig, WaveNetConfig
from espnet3_tts.models.vits.duration import DurationFlow, PredictedDuration, StochasticDuration
from espnet3_tts.models.vits.flow import CouplingFlow
from espnet3_tts.models.vits.losses import divergence
from espnet3_tts.models.vits.spline import rational_quadratic
from espnet3_tts.models.vits.wavenet import WaveNet
from torch.autograd.functional import jacobian
from torch.distributions import Normal, kl_divergence
from torch.nn import functional
from toy_vits import shaken

BINS, BOUND = 5, 3.0


@pytest.fixture
def spline():
    torch.manual_seed(0)
    inputs = torch.cat([torch.linspace(-4, 4, 41), torch.tensor([-BOUND, BOUND])]).double()
    parameters = 2 * torch.randn(len(inputs), 3 * BINS - 1, dtype=torch.float64)
    return inputs, parameters


@pytest.mark.parametrize("inverse", [False, True])
def test_a_splines_derivative_is_autograds(spline, inverse):
    inputs, parameters = spline
    inputs.requires_grad_()
    outputs, logs = rational_quadratic(inputs, parameters, bound=BOUND, inverse=inverse)
    (slopes,) = torch.autograd.grad(outputs.sum(), inputs)
    assert torch.allclose(logs.exp(), slopes, atol=1e-9)
    assert slopes.min() > 0


def test_a_spline_goes_back_and_is_the_identity_outside(spline):
    inputs, parameters = spline
    outputs, logs = rational_quadratic(inputs, parameters, bound=BOUND)
    found, back = rational_quadratic(outputs, parameters, bound=BOUND, inverse=True)
    assert torch.allclose(found, inputs, atol=1e-9)
    assert torch.allclose(back, -logs, atol=1e-8)
    outside = inputs.abs() > BOUND
    assert outside.sum() > 5
    assert torch.equal(outputs[outside], inputs[outside])
    assert (outputs - inputs)[~outside].abs().max() > 0.1


def test_a_spline_leads_from_knot_to_knot_with_the_slopes_between(spline):
    """Knots by softmax with a smallest size, slopes by softplus (Durkan et al. 2019, section 3.1)."""
    _, parameters = spline
    raw = parameters[0].numpy()
    xs, ys = (
        2 * BOUND * np.cumsum(1e-3 + (1 - 1e-3 * BINS) * np.exp(part) / np.exp(part).sum())[:-1] - BOUND
        for part in (raw[:BINS], raw[BINS : 2 * BINS])
    )
    outputs, logs = rational_quadratic(torch.from_numpy(xs), parameters[0].expand(BINS - 1, -1), bound=BOUND)
    np.testing.assert_allclose(outputs, ys, atol=1e-9)
    np.testing.assert_allclose(logs.exp(), 1e-3 + np.log1p(np.exp(raw[2 * BINS :])), rtol=1e-6)


def test_gradients_of_a_spline_are_finite_everywhere(spline):
    inputs, parameters = spline
    far = torch.cat([inputs * 1e6, inputs]).requires_grad_()
    wide = (20 * torch.cat([parameters, parameters])).requires_grad_()
    for inverse in (False, True):
        outputs, logs = rational_quadratic(far, wide, bound=BOUND, inverse=inverse)
        for gradient in torch.autograd.grad((outputs + logs).sum(), (far, wide)):
            assert torch.isfinite(gradient).all()


def duration_config(**options):
    return DurationConfig(
        **{"channels": 6, "layers": 2, "flows": 2, "bins": 5, "bound": 4.0, "dropout": 0.0, **options}
    )


def test_the_flow_of_durations_has_the_determinant_of_its_jacobian():
    flow = shaken(DurationFlow(duration_config()).double(), 0.5)
    values = torch.randn(2, 2, 4, dtype=torch.float64)
    mask = torch.ones(2, 1, 4, dtype=torch.float64)
    mask[1, :, 3] = 0
    values, condition = values * mask, torch.randn(2, 6, 4, dtype=torch.float64) * mask
    moved, logs = flow(values, mask, condition)
    assert torch.allclose(flow.inverse(moved, mask, condition), values, atol=1e-8)
    assert (moved - values).abs().max() > 0.1
    for row, count in enumerate((4, 3)):
        ones = torch.ones(1, 1, count, dtype=torch.float64)

        def of(flat, row=row, count=count, ones=ones):
            return flow(flat.view(1, 2, count), ones, condition[row : row + 1, :, :count])[0].flatten()

        wanted = torch.linalg.slogdet(jacobian(of, values[row, :, :count].flatten()))[1]
        assert logs[row].item() == pytest.approx(wanted.item(), abs=1e-9)
        assert abs(wanted) > 0.1


def test_the_flow_of_latents_goes_back_and_keeps_volume():
    flow = shaken(CouplingFlow(3, 4, size=6, kernel=3, layers=2, speaker_size=3).double(), 0.5)
    values, speaker = torch.randn(1, 4, 3).double(), torch.randn(1, 3).double()
    mask = torch.ones(1, 1, 3).double()
    moved = flow(values, mask, speaker)
    assert torch.allclose(flow.inverse(moved, mask, speaker), values, atol=1e-9)
    assert (moved - values.flip(1)).abs().max() > 0.1
    assert not torch.allclose(moved, flow(values, mask, speaker + 1), atol=1e-3)
    found = jacobian(lambda flat: flow(flat.view(1, 4, 3), mask, speaker).flatten(), values.flatten())
    assert torch.linalg.slogdet(found)[1].item() == pytest.approx(0, abs=1e-9)


def test_a_new_flow_only_turns_the_channels_around():
    values, mask = torch.randn(2, 4, 5), torch.ones(2, 1, 5)
    assert torch.equal(CouplingFlow(3, 4, size=6, kernel=3, layers=2)(values, mask), values.flip(1))


def test_the_probabilities_of_durations_sum_to_one_and_are_those_of_what_is_drawn():
    """The bound's exponential is an unbiased estimate of the probability, whatever the posterior.

    With kernels of 1 tokens are independent, so each of many equal tokens is a draw.
    """
    torch.manual_seed(0)
    model = StochasticDuration(duration_config(kernel=1, noise=1.0), input_size=3).double().eval()
    shaken(model, 0.07)
    with torch.no_grad():
        model.flow.shift[0] = -1.0  # durations of a few frames
        model.posterior.log_scale.fill_(0.6)  # wide, so that few draws do not count for many
    hidden, most, draws = torch.randn(1, 1, 3).double(), 16, 2500
    one = torch.ones(draws, dtype=torch.long)
    with torch.no_grad():
        bounds = torch.stack(
            [model(hidden.expand(draws, -1, -1), one, torch.full((draws, 1), n)) for n in range(1, most)]
        )
        drawn = model.draw(hidden.expand(1, 20_000, -1), torch.tensor([20_000]))[0]
    found = (-bounds).exp().mean(1)
    assert found.sum() + (drawn >= most).double().mean() == pytest.approx(1, abs=0.03)
    counted = torch.stack([(drawn == n).double().mean() for n in range(1, most)])
    assert (found - counted).abs().max() < 0.02
    assert counted.max() < 0.7
    assert (bounds.mean(1) >= -found.log() - 1e-3).all()  # a bound, by Jensen


def test_durations_that_are_predicted_are_regressed_on_logarithms():
    model = PredictedDuration(duration_config(kind="deterministic"), input_size=3).eval()
    hidden, lengths = torch.randn(2, 4, 3), torch.tensor([4, 2])
    durations = torch.tensor([[1, 3, 5, 2], [4, 2, 0, 0]])
    logs = model._logs(hidden, lengths, None).detach()
    wanted = [
        np.mean([(math.log(durations[row, n]) - float(logs[row, n])) ** 2 for n in range(count)])
        for row, count in enumerate((4, 2))
    ]
    assert model(hidden, lengths, durations).tolist() == pytest.approx(wanted, rel=1e-5)
    said = model.draw(hidden, lengths)
    assert said[1, 2:].tolist() == [0, 0]
    assert torch.allclose(said[0], logs[0].exp().clamp(min=1))


def test_the_divergence_is_that_of_normal_distributions_on_average():
    torch.manual_seed(0)
    mean, prior_mean = torch.randn(2, 1, 3, 2).unbind()
    log_std, prior_log_std = (0.3 * torch.randn(2, 1, 3, 2)).unbind()
    draws = 40_000
    latent = mean + torch.randn(draws, 3, 2) * log_std.exp()
    found = divergence(
        latent,
        *(part.expand(draws, -1, -1) for part in (log_std, prior_mean, prior_log_std)),
        torch.full((draws,), 2),
    ).mean()
    wanted = kl_divergence(Normal(mean, log_std.exp()), Normal(prior_mean, prior_log_std.exp()))
    assert found.item() == pytest.approx(wanted[0, :2].sum().item() / 2, rel=0.02)


def test_likelihoods_are_those_of_normal_distributions():
    torch.manual_seed(0)
    latent, mean, log_std = torch.randn(2, 5, 3), torch.randn(2, 4, 3), torch.randn(2, 4, 3)
    normal = Normal(mean[:, None], log_std[:, None].exp())
    wanted = normal.log_prob(latent[:, :, None]).sum(-1)
    assert torch.allclose(log_likelihoods(latent, mean, log_std), wanted, atol=1e-4)


def test_attention_knows_distances_within_its_window():
    """Token by token, as Shaw et al. 2018 write it."""
    torch.manual_seed(0)
    heads, size, window, count = 2, 8, 2, 6
    attention = WindowedAttention(size, heads, window, 0.0).double()
    values = torch.randn(1, count, size).double()
    valid = torch.tensor([[True] * 5 + [False]])
    query, key, value = attention.project(values)[0].chunk(3, -1)
    outputs = torch.zeros(count, size).double()
    for head, i in itertools.product(range(heads), range(count)):
        part = slice(head * size // heads, (head + 1) * size // heads)

        def near(table, j, i=i):
            return table[j - i + window] if abs(j - i) <= window else torch.zeros(size // heads).double()

        scores = torch.stack(
            [query[i, part] @ (key[j, part] + near(attention.key_distances, j)) / 2 for j in range(5)]
        )
        for j, weight in enumerate(scores.softmax(0)):
            outputs[i, part] += weight * (value[j, part] + near(attention.value_distances, j))
    wanted = functional.linear(outputs, attention.out.weight, attention.out.bias)
    assert torch.allclose(attention(values, valid)[0], wanted, atol=1e-10)


def test_gated_convolutions_by_their_definition():
    torch.manual_seed(0)
    net = shaken(WaveNet(4, 3, 2, speaker_size=3))
    values, speaker, mask = torch.randn(2, 4, 7), torch.randn(2, 3), torch.ones(2, 1, 7)
    mask[1, :, 5:] = 0
    values = values * mask
    total, hidden = 0, values
    for number in range(2):
        bias = functional.linear(
            speaker, net.speakers[number].project.weight, net.speakers[number].project.bias
        )
        both = functional.conv1d(hidden, net.gated[number].weight, net.gated[number].bias, padding=1)
        both = both + bias[:, :, None]
        acts = torch.tanh(both[:, :4]) * torch.sigmoid(both[:, 4:])
        mixed = functional.conv1d(acts, net.mixed[number].weight, net.mixed[number].bias)
        if number == 0:
            hidden, mixed = (hidden + mixed[:, :4]) * mask, mixed[:, 4:]
        total = total + mixed
    assert torch.allclose(net(values, mask, speaker), total * mask, atol=1e-5)


def test_noise_of_an_utterance_is_the_same_in_any_batch():
    like = torch.zeros(1)
    both = utterance_noise(torch.tensor([30, 17]), 3, like, 5)
    assert torch.equal(both[1, :17], utterance_noise(torch.tensor([17]), 3, like, 5)[0])
    assert both[1, 17:].abs().sum() == 0
    assert not torch.equal(both[0], utterance_noise(torch.tensor([30]), 3, like, 6)[0])
    assert utterance_noise(torch.tensor([400]), 50, like, 1).std() == pytest.approx(1, abs=0.02)


def test_options_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="latent: 3 channels cannot be halved"):
        VitsConfig(latent=3)
    with pytest.raises(UserError, match="kernel: 4 is even"):
        WaveNetConfig(kernel=4)
    with pytest.raises(UserError, match="bins 1, bound 5 and noise 0.8 make no spline"):
        DurationConfig(bins=1)
    with pytest.raises(UserError, match="a name stands twice"):
        VitsConfig(speakers=["a", "a"])
    with pytest.raises(UserError, match="vectors of 5 dimensions come in, and output_size is 192"):
        WindowedTransformer(WindowedTransformerConfig(), input_size=5)
    with pytest.raises(UserError, match="kernels are odd"):
        WindowedTransformerConfig(kernels=(3, 2))
