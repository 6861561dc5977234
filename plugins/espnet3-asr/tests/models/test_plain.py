"""The base for own CTC models: its loss, its times, and the searches around it."""

import pytest
import torch
from espnet3_asr.models.plain import PlainCTC
from espnet3_asr.searches.config import CTCPrefixBeamConfig
from espnet3_asr.searches.ctc_prefix_beam import CTCPrefixBeam
from torch import nn


class Letters:
    """Decodes ids to letters."""

    tokens = ("_", "a", "b", "c")

    def __len__(self):
        return len(self.tokens)

    def decode(self, ids):
        return "".join(self.tokens[index] for index in ids)


class Model(PlainCTC):
    def __init__(self, vocab_size, sample_rate, tokenizer=None):
        super().__init__(16, vocab_size, sample_rate, tokenizer, stack=3)
        self.layer = nn.Linear(120, 16)

    def hidden(self, features, lengths):
        return self.layer(features).tanh(), lengths


def batch():
    torch.manual_seed(0)
    return {"speech": torch.randn(2, 8000), "speech_lengths": torch.tensor([8000, 5000]), "ids": ["u1", "u2"]}


@pytest.fixture
def model():
    torch.manual_seed(1)
    return Model(4, 8000, Letters()).eval()


def test_loss_is_torchs_mean_over_utterances(model):
    text = torch.tensor([[1, 2, 2], [3, -1, -1]])
    found = model(*[batch()[key] for key in ("speech", "speech_lengths")], text, torch.tensor([3, 1]))
    encoded = model.encode(batch()["speech"], batch()["speech_lengths"])
    expected = [
        nn.functional.ctc_loss(
            model.ctc.log_probs(encoded.features)[row : row + 1, :frames].transpose(0, 1),
            text[row : row + 1, :count], torch.tensor([frames]), torch.tensor([count]), reduction="sum",
        )
        for row, (frames, count) in enumerate(zip(encoded.lengths.tolist(), (3, 1), strict=True))
    ]  # fmt: skip
    torch.testing.assert_close(found["loss"], torch.stack(expected).mean())
    assert found["weight"] == 2


def test_times_follow_from_hop_and_stacking(model):
    hop = model.frontend.hop / 8000
    assert model.frame_seconds == pytest.approx(3 * hop, rel=1e-3)


def test_searches_take_it(model):
    greedy = model.infer(batch())
    beam = CTCPrefixBeam(CTCPrefixBeamConfig(), model=model, tokenizer=Letters()).infer(batch())
    assert len(greedy) == len(beam) == 2
    assert all(one["score"] <= other["score"] + 1e-4 for one, other in zip(greedy, beam, strict=True))


def test_a_model_without_layers_says_what_is_missing():
    with pytest.raises(NotImplementedError, match=r"PlainCTC has to define hidden\(features, lengths\)"):
        PlainCTC(16, 4, 8000).encode(batch()["speech"], batch()["speech_lengths"])
