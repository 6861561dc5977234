"""The card as the Hub's own client reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import Hub
from huggingface_hub import ModelCard


def test_the_head_of_the_card_is_what_the_hub_asks_for(hub: Hub, bundle: Path) -> None:
    card = ModelCard.load(bundle / "README.md")
    card.validate()
    data = card.data
    head = data.to_dict()
    assert (head["library_name"], head["pipeline_tag"]) == ("espnet3", "automatic-speech-recognition")
    assert (data.license, data.language, data.datasets) == (
        "cc-by-sa-4.0",
        ["en"],
        ["openslr/librispeech_asr"],
    )
    assert data.model_name == "Digits"
    found = {
        (result.dataset_name, result.dataset_type, result.task_type, result.metric_type): result.metric_value
        for result in data.eval_results
    }
    corpus, task = "openslr/librispeech_asr", "automatic-speech-recognition"
    assert found == {("test", corpus, task, "wer"): 3.25, ("other", corpus, task, "wer"): 7.5}
    assert ModelCard(str(card)).data.to_dict() == data.to_dict()


def test_a_licence_that_the_hub_does_not_know_is_found(hub: Hub, bundle: Path) -> None:
    card = ModelCard.load(bundle / "README.md")
    card.data.license = "mine"
    with pytest.raises(ValueError, match="must be one of"):
        card.validate()
