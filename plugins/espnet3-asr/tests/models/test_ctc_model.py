from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from espnet3_core.errors import UserError
from torch.nn import functional


def arguments(batch):
    return {key: batch[key] for key in ("speech", "speech_lengths", "text", "text_lengths")}


def reference_loss(model, features, lengths, batch):
    """CTC losses of each utterance, from torch alone."""
    log_probs = model.ctc.head.out(features).log_softmax(-1).transpose(0, 1)
    return functional.ctc_loss(
        log_probs, batch["text"].clamp(min=0), lengths, batch["text_lengths"], reduction="none"
    )


def test_loss_is_the_mean_over_utterances(make_ctc, make_batch):
    model = make_ctc().eval()
    batch = make_batch([1.0, 0.6], [4, 2])
    out = model(**arguments(batch))
    encoded = model.encode(batch["speech"], batch["speech_lengths"])
    expected = reference_loss(model, encoded.features, encoded.lengths, batch)
    torch.testing.assert_close(out["loss"], expected.mean())
    assert int(out["weight"]) == 2
    assert int(out["ctc_impossible"]) == 0
    out["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_length_normalized_divides_by_tokens(make_ctc, make_batch):
    batch = make_batch([1.0, 0.6], [4, 2])
    plain = make_ctc().eval()(**arguments(batch))["loss"]
    normalized = make_ctc(length_normalized=True).eval()(**arguments(batch))["loss"]
    torch.testing.assert_close(normalized * 6, plain * 2)


def test_impossible_utterances_are_counted_and_left_out_of_the_mean(make_ctc, make_batch):
    model = make_ctc().eval()
    both = make_batch([1.0, 0.1], [3, 30])
    out = model(**arguments(both))
    assert int(out["ctc_impossible"]) == 1
    assert int(out["weight"]) == 1
    encoded = model.encode(both["speech"], both["speech_lengths"])
    losses = reference_loss(model, encoded.features, encoded.lengths, both)
    assert math.isinf(losses[1].item())
    torch.testing.assert_close(out["loss"], losses[0])
    out["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_intermediate_losses(make_ctc, make_batch):
    model = make_ctc(intermediate_layers=(1, 2), intermediate_weight=0.25).train()
    batch = make_batch([1.0, 0.6], [4, 2])
    out = model(**arguments(batch))
    assert {"loss_ctc_1", "loss_ctc_2", "loss_ctc_final"} <= set(out)
    expected = 0.75 * out["loss_ctc_final"] + 0.25 * (out["loss_ctc_1"] + out["loss_ctc_2"]) / 2
    torch.testing.assert_close(out["loss"].detach(), expected)
    direct = model.stack(batch["speech"], batch["speech_lengths"], intermediate_layers=(1, 2))
    layer = reference_loss(model, direct.intermediate[1], direct.lengths, batch).mean()
    torch.testing.assert_close(out["loss_ctc_1"], layer.detach())


def test_self_conditioning_changes_the_stream_in_inference_too(make_ctc, make_batch):
    model = make_ctc(intermediate_layers=(1,), self_conditioning=True).eval()
    batch = make_batch([1.0])
    with torch.no_grad():
        before = model.encode(batch["speech"], batch["speech_lengths"]).features
        model.ctc.feedback.weight.zero_()
        model.ctc.feedback.bias.zero_()
        without = model.encode(batch["speech"], batch["speech_lengths"]).features
        plain = model.stack(batch["speech"], batch["speech_lengths"]).features
    torch.testing.assert_close(without, plain)
    assert (before - plain).abs().max() > 1e-4


def test_losses_are_full_precision_under_bf16(make_ctc, make_batch):
    model = make_ctc()
    batch = make_batch([1.0, 0.6], [4, 2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = model(**arguments(batch))
    assert out["loss"].dtype == torch.float32
    full = make_ctc().eval()(**arguments(batch))["loss"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = make_ctc().eval()(**arguments(batch))["loss"]
    assert abs(half - full) / full < 0.02


def test_statistics(make_ctc, make_batch):
    assert make_ctc().statistics_of == ()
    model = make_ctc(normalizer="global")
    assert model.statistics_of == ("features",)
    batch = make_batch([1.0, 0.5])
    features = model.collect_feats(batch["speech"], batch["speech_lengths"])
    assert set(features) == {"features", "features_lengths"}
    valid = torch.cat([row[:n] for row, n in zip(*features.values(), strict=True)])
    moments = SimpleNamespace(
        mean=valid.mean(0).double().numpy(), std=valid.std(0, False).double().numpy(), count=len(valid)
    )
    trained = make_ctc(normalizer="global", stats={"features": moments})
    normalized, _ = trained.stack.normalizer(features["features"], features["features_lengths"])
    assert np.abs(normalized[0, : features["features_lengths"][0]].mean(0).detach().numpy()).max() < 0.5
    copy = make_ctc(normalizer="global", seed=1)
    copy.load_state_dict(trained.state_dict())
    assert torch.isfinite(copy.encode(batch["speech"], batch["speech_lengths"]).features).all()


def test_frame_seconds(make_ctc):
    assert make_ctc().frame_seconds == pytest.approx(0.02)


def test_wrong_options(make_ctc, make_batch):
    with pytest.raises(UserError, match="intermediate_weight must be in"):
        make_ctc(intermediate_weight=1.0)
    with pytest.raises(UserError, match="self_conditioning needs intermediate layers"):
        make_ctc(self_conditioning=True)
    batch = make_batch([1.0], [2])
    with pytest.raises(UserError, match="layer"):
        make_ctc(intermediate_layers=(7,))(**arguments(batch))


def test_the_prior_is_the_running_mean_of_posteriors_in_training(make_ctc, make_batch):
    model = make_ctc(ctc_prior=True)
    batch = make_batch([1.0, 0.6], [4, 2])
    size = model.vocab_size
    torch.testing.assert_close(model.ctc.prior, torch.full((size,), 1 / size))
    model.eval()(**arguments(batch))
    torch.testing.assert_close(model.ctc.prior, torch.full((size,), 1 / size))
    encoded = model.encode(batch["speech"], batch["speech_lengths"])
    posteriors = model.ctc.log_probs(encoded.features).exp()
    lengths = encoded.lengths.tolist()
    mean = torch.cat([row[:count] for row, count in zip(posteriors, lengths, strict=True)]).mean(0)
    model.ctc.train()  # what comes before it stays as it is
    for _ in range(800):
        model.ctc(encoded, batch["text"], batch["text_lengths"])
    torch.testing.assert_close(model.ctc.prior, mean.detach(), rtol=0, atol=1e-4)
    assert "ctc.prior" in model.state_dict()
    assert not model.ctc.prior.requires_grad


def test_without_ctc_prior_checkpoints_are_as_ever(make_ctc):
    assert "ctc.prior" not in make_ctc().state_dict()
