import torch
from espnet3_speech.layers.batch_norm import MaskedBatchNorm, recomputation
from espnet3_speech.layers.convolution import DepthwiseConv
from espnet3_speech.masks import valid_mask


def test_equals_torch_batch_norm_over_the_valid_frames() -> None:
    ours, theirs = MaskedBatchNorm(5).double(), torch.nn.BatchNorm1d(5).double()
    torch.nn.init.normal_(ours.weight)
    torch.nn.init.normal_(ours.bias)
    theirs.load_state_dict({**theirs.state_dict(), "weight": ours.weight, "bias": ours.bias})
    lengths = torch.tensor([6, 3, 1])
    valid = valid_mask(lengths, 6)
    for _ in range(3):
        values = torch.randn(3, 6, 5, dtype=torch.float64) * 3 + 2
        padded = values.masked_fill(~valid.unsqueeze(-1), 55.0)
        mine, other = padded.clone().requires_grad_(), values[valid].requires_grad_()
        out, expected = ours(mine, valid.unsqueeze(-1))[valid], theirs(other)
        assert torch.allclose(out, expected)
        weights = torch.randn_like(expected)
        (gradient,) = torch.autograd.grad((out * weights).sum(), mine)
        (reference,) = torch.autograd.grad((expected * weights).sum(), other)
        assert torch.allclose(gradient[valid], reference)
        assert gradient[~valid].eq(0).all()
    assert torch.allclose(ours.running_mean, theirs.running_mean)
    assert torch.allclose(ours.running_var, theirs.running_var)
    ours.eval(), theirs.eval()
    assert torch.allclose(ours(values, valid.unsqueeze(-1))[valid], theirs(values[valid]))


def test_recomputation_does_not_count_twice() -> None:
    module = MaskedBatchNorm(2)
    values, valid = torch.randn(1, 4, 2), torch.ones(1, 4, 1, dtype=torch.bool)
    module(values, valid)
    before = module.running_mean.clone()
    with recomputation():
        module(values, valid)
    assert torch.equal(before, module.running_mean)
    module(values, valid)
    assert not torch.equal(before, module.running_mean)


def test_autocast_keeps_statistics_in_float32() -> None:
    module = MaskedBatchNorm(2)
    values = (torch.randn(1, 4, 2) + 100).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = module(values, torch.ones(1, 4, 1, dtype=torch.bool))
    assert out.dtype == torch.bfloat16
    assert module.running_mean.dtype == torch.float32
    assert torch.allclose(module.running_mean, values.float().mean((0, 1)) * 0.1)


def test_depthwise_convolution_takes_padding_for_zeros() -> None:
    module = DepthwiseConv(3, 5).double()
    values = torch.randn(2, 9, 3, dtype=torch.float64)
    valid = valid_mask(torch.tensor([9, 4]), 9).unsqueeze(-1)
    out = module(values, valid)
    alone = module(values[1:, :4], valid[1:, :4])
    assert torch.allclose(out[1, :4], alone[0])
    for t in range(4):
        taps = [module.weight[:, 0, k] * values[1, t + k - 2] for k in range(5) if 0 <= t + k - 2 < 4]
        assert torch.allclose(out[1, t], sum(taps) + module.bias)
