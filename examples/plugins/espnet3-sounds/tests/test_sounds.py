"""The conformance kit over the whole task."""

import numpy as np
import pytest
import soundfile
from espnet3_core.testing import (
    DatasetConformance,
    MetricConformance,
    ModelConformance,
    PluginConformance,
    SystemConformance,
)
from espnet3_sounds.dataset import part_of


class TestPlugin(PluginConformance):
    """sounds."""

    namespace = "sounds"


class TestClassifier(ModelConformance):
    """sounds/cnn."""

    name = "sounds/cnn"
    config = {"labels": ["high", "low"], "channels": 8, "layers": 2}

    def utterances(self):
        """With labels."""
        labels = ("high", "low")
        return [{**item, "label": labels[row % 2]} for row, item in enumerate(super().utterances())]


class TestLabelledFolder(DatasetConformance):
    """sounds/folder."""

    name = "sounds/folder"
    config = {"path": "audio"}

    @pytest.fixture(autouse=True)
    def audio(self, chosen):
        """Tones of two kinds."""
        for label, pitch in (("high", 900), ("low", 200)):
            (self.folder / "audio" / label).mkdir(parents=True)
            for number in range(3):
                time = np.arange(2000 + 100 * number) / 8000
                path = self.folder / f"audio/{label}/{number}.wav"
                soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * time), 8000)

    def test_labels_are_the_folders(self):
        """And ids are paths."""
        items = [self.build()[index] for index in range(6)]
        assert [item["id"] for item in items][:2] == ["high/0", "high/1"]
        assert [item["label"] for item in items] == ["high"] * 3 + ["low"] * 3


class TestAccuracy(MetricConformance):
    """sounds/accuracy."""

    name = "sounds/accuracy"
    values = {"hypothesis": ["a", "b", "a", "b"], "reference": ["a", "a", "a", "b"]}
    expected = {"accuracy": 75.0, "right": 3, "sounds": 4}


class TestClassification(SystemConformance):
    """sounds/classification."""

    name = "sounds/classification"


def test_parts_share_all_files():
    parts = [part_of(f"file{number}") for number in range(10_000)]
    assert set(parts) == {"train", "valid", "test"}
    assert 0.78 < parts.count("train") / 10_000 < 0.82
