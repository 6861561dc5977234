"""The named model configurations have the published numbers of parameters."""

from __future__ import annotations

from pathlib import Path

import espnet3_asr.conf
import pytest
import yaml
from espnet3_core.build import build

GROUPS = Path(espnet3_asr.conf.__file__).parent / "model" / "asr"


def parameters(node):
    needs = {"vocab_size": 5000, "sample_rate": 16000, "stats": None, "tokenizer": None}
    model = build(node, needs, kind="model", path="training.model")
    return sum(parameter.numel() for parameter in model.parameters())


def test_conformer():
    assert parameters(yaml.safe_load((GROUPS / "conformer.yaml").read_text())) == 34_229_520


def test_e_branchformer_librispeech_100():
    node = yaml.safe_load((GROUPS / "e_branchformer_librispeech100.yaml").read_text())
    assert parameters(node) == pytest.approx(38.47e6, rel=5e-4)
    only_ctc = {k: v for k, v in node.items() if k not in ("decoder", "ctc_weight", "label_smoothing")}
    assert parameters({**only_ctc, "name": "asr/ctc"}) == pytest.approx(26.43e6, rel=5e-4)


def test_every_group_builds():
    for path in GROUPS.glob("*.yaml"):
        assert parameters(yaml.safe_load(path.read_text())) > 0
