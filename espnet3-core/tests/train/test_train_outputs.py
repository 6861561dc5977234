from types import SimpleNamespace

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_core.train.outputs import FieldSelector, padding, step_output
from torch import nn

LOSS = torch.tensor(2.0)
BATCH = {"ids": ["a", "b", "c"], "speech": torch.zeros(3, 4), "speech_lengths": torch.tensor([4, 2, 3])}


@pytest.mark.parametrize(
    ("output", "stats", "weight"),
    [
        (LOSS, {"loss": 2.0}, 3.0),
        (
            {"loss": LOSS, "acc": 0.5, "logits": torch.zeros(3, 2), "weight": 2},
            {"loss": 2.0, "acc": 0.5},
            2.0,
        ),
        (SimpleNamespace(loss=LOSS, logits=torch.zeros(3)), {"loss": 2.0}, 3.0),
        (
            (LOSS, {"loss": LOSS, "ctc": torch.tensor([1.5]), "cer": None}, torch.tensor(3)),
            {"loss": 2.0, "ctc": 1.5},
            3.0,
        ),
    ],
)
def test_what_models_return(output, stats, weight):
    found = step_output(output, BATCH)
    assert {name: float(value) for name, value in found.stats.items()} == stats
    assert float(found.weight) == weight


@pytest.mark.parametrize("output", [{"los": LOSS}, torch.zeros(2), None, (LOSS, LOSS)])
def test_no_loss(output):
    with pytest.raises(UserError, match=r"training\.model: the model returned .*no scalar loss"):
        step_output(output, BATCH)


class Some(nn.Module):
    def forward(self, speech, speech_lengths, text=None): ...


class All(nn.Module):
    def forward(self, speech, **fields): ...


def test_only_the_fields_that_forward_takes():
    batch = {**BATCH, "speaker": ["x"] * 3}
    assert set(FieldSelector(Some())(batch)) == {"speech", "speech_lengths"}
    assert set(FieldSelector(All())(batch)) == {"speech", "speech_lengths", "speaker"}


def test_a_missing_field_is_named():
    with pytest.raises(UserError, match=r"forward needs 'speech_lengths', and a batch has 'ids', 'speech'"):
        FieldSelector(Some())({"ids": [], "speech": None})


def test_padding_is_that_of_the_audio():
    assert padding(BATCH) == (9.0, 12.0)
