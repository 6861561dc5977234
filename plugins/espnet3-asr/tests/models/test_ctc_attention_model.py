from __future__ import annotations

import pytest
import torch
from espnet3_asr.models.ctc_attention.model import shifted
from espnet3_core.errors import UserError
from torch.nn import functional


def arguments(batch):
    return {key: batch[key] for key in ("speech", "speech_lengths", "text", "text_lengths")}


def attention_terms(model, batch):
    """Per utterance: the smoothed cross entropy less the labels' entropy, and hits, from the definition."""
    size, smoothing = model.vocab_size, model.config.label_smoothing
    encoded = model.encode(batch["speech"], batch["speech_lengths"])
    losses, hits, total = [], 0, 0
    for row, count in enumerate(batch["text_lengths"].tolist()):
        ids = batch["text"][row, :count].tolist()
        inputs = torch.tensor([[size - 1, *ids]])
        frames = encoded.lengths[row : row + 1]
        memory = encoded.features[row : row + 1, : int(frames)]
        log_probs = model.decoder(inputs, torch.tensor([count + 1]), memory, frames)[0].log_softmax(-1)
        target = torch.full_like(log_probs, smoothing / (size - 1))
        labels = torch.tensor([*ids, size - 1])
        target[torch.arange(count + 1), labels] = 1 - smoothing
        losses.append(functional.kl_div(log_probs, target, reduction="sum"))
        hits += int((log_probs.argmax(-1) == labels).sum())
        total += count + 1
    return torch.stack(losses), hits / total, total


def test_losses_follow_their_definitions(make_hybrid, make_batch):
    model = make_hybrid(ctc_weight=0.4).eval()
    batch = make_batch([1.0, 0.6], [4, 2])
    out = model(**arguments(batch))
    losses, accuracy, _ = attention_terms(model, batch)
    torch.testing.assert_close(out["loss_att"], losses.mean().detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out["loss"].detach(), 0.4 * out["loss_ctc"] + 0.6 * out["loss_att"])
    assert float(out["acc"]) == pytest.approx(accuracy)
    out["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    assert all(p.grad is not None for p in model.decoder.parameters())


def test_length_normalized(make_hybrid, make_batch):
    model = make_hybrid(length_normalized=True).eval()
    batch = make_batch([1.0, 0.6], [4, 2])
    losses, _, total = attention_terms(model, batch)
    out = model(**arguments(batch))
    torch.testing.assert_close(out["loss_att"], (losses.sum() / total).detach(), rtol=1e-4, atol=1e-5)


def test_without_ctc(make_hybrid, make_batch):
    model = make_hybrid(ctc_weight=0.0)
    out = model(**arguments(make_batch([0.5], [2])))
    out["loss"].backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert "loss_ctc" not in out
    torch.testing.assert_close(out["loss"].detach(), out["loss_att"])


def test_padding_does_not_matter(make_hybrid, make_batch):
    model = make_hybrid().eval()
    batch = arguments(make_batch([1.0, 0.6], [4, 2]))
    together = model(**batch)
    alone = [
        model(
            speech=batch["speech"][row : row + 1, : batch["speech_lengths"][row]],
            speech_lengths=batch["speech_lengths"][row : row + 1],
            text=batch["text"][row : row + 1, : batch["text_lengths"][row]],
            text_lengths=batch["text_lengths"][row : row + 1],
        )["loss"]
        for row in range(2)
    ]
    torch.testing.assert_close(together["loss"], torch.stack(alone).mean(), rtol=1e-4, atol=1e-4)


def test_empty_text(make_hybrid, make_batch):
    batch = arguments(make_batch([0.5, 0.5], [2, 1]))
    batch["text"], batch["text_lengths"] = torch.full((2, 0), -1), torch.zeros(2, dtype=torch.long)
    out = make_hybrid()(**batch)
    assert torch.isfinite(out["loss"])


def test_shifted_pads_inputs_with_a_real_token():
    inputs, labels = shifted(torch.tensor([[3, -1, -1], [4, 5, 6]]), torch.tensor([1, 3]), 9)
    assert inputs.tolist() == [[9, 3, 9, 9], [9, 4, 5, 6]]
    assert labels.tolist() == [[3, 9, -1, -1], [4, 5, 6, 9]]


def test_wrong_options(make_hybrid):
    with pytest.raises(UserError, match="ctc_weight must be in") as error:
        make_hybrid(ctc_weight=1.0)
    assert "asr/ctc" in error.value.hint
    with pytest.raises(UserError, match="label_smoothing must be in"):
        make_hybrid(label_smoothing=1.0)


def test_learns_to_spell(make_hybrid, make_batch, letters):
    """Two recordings are learnt by heart, through both losses, and the joint search finds them."""
    from espnet3_asr.searches.config import JointBeamConfig
    from espnet3_asr.searches.joint_beam import JointBeam

    batch = make_batch([0.25, 0.3], [3, 5])
    model = make_hybrid(init="xavier_uniform")
    optimizer = torch.optim.Adam(model.parameters(), 8e-3)
    for _ in range(80):
        optimizer.zero_grad()
        model(**arguments(batch))["loss"].backward()
        optimizer.step()
    expected = [row[:n].tolist() for row, n in zip(batch["text"], batch["text_lengths"], strict=True)]
    for width in (1, 4):
        search = JointBeam(JointBeamConfig(beam_size=width), model=model, tokenizer=letters)
        found = [result["tokens"] for result in search.infer(batch)]
        assert found == [[letters.tokens[i] for i in ids] for ids in expected]
