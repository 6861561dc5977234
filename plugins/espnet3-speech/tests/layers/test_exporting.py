"""What layers do while a graph is made gives what they give otherwise, for every size."""

from __future__ import annotations

import pytest
import torch
from espnet3_speech.frontends.config import KaldiFbankConfig
from espnet3_speech.frontends.kaldi_fbank import KaldiFbank
from espnet3_speech.layers import attention, positions
from espnet3_speech.layers.exporting import exporting


class Asking(torch.nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + (1 if exporting() else 0)


def test_only_an_export_is_one() -> None:
    assert Asking()(torch.zeros(1)).item() == 0
    graph = torch.export.export(Asking(), (torch.zeros(1),))
    assert graph.module()(torch.zeros(1)).item() == 1
    assert not exporting()


@pytest.mark.parametrize("frames", [1, 2, 3, 10])
def test_shifted_scores(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.randn(2, 3, frames, 2 * frames - 1)
    expected = attention.shift_relative(scores)
    monkeypatch.setattr(attention, "exporting", lambda: True)
    assert torch.equal(attention.shift_relative(scores), expected)


@pytest.mark.parametrize(("signed", "offset"), [(True, 0), (False, 0), (False, 7)])
@pytest.mark.parametrize("count", [1, 2, 700])
def test_positions(signed: bool, offset: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    table = positions.PositionTable(8, signed=signed)
    expected = table(count, torch.zeros(1), offset)
    monkeypatch.setattr(positions, "exporting", lambda: True)
    assert torch.allclose(table(count, torch.zeros(1), offset), expected, atol=1e-6)


@pytest.mark.parametrize("snip_edges", [True, False])
def test_number_of_frames(snip_edges: bool) -> None:
    frontend = KaldiFbank(KaldiFbankConfig(snip_edges=snip_edges), sample_rate=8000)
    for samples in [0, 1, 39, 40, 199, 200, 201, 279, 280, 8000, 8039]:
        assert frontend._frames(samples) == int(frontend.output_lengths(torch.tensor(samples)))
