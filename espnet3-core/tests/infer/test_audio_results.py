from __future__ import annotations

import json
import textwrap

import numpy as np
import pytest
import soundfile
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio, store, stored_audio, write_wav
from espnet3_core.measure.results import References
from espnet3_core.measure.stage import feed
from espnet3_core.recipe.run import run

MODEL = """
    import torch
    from espnet3_core.infer.audio import Audio

    class Louder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(1))

        def infer(self, batch):
            pairs = zip(batch["speech"], batch["speech_lengths"])
            return [{"audio": Audio(row[:n].numpy() / 10, 8000), "level": row[0]} for row, n in pairs]
"""


def test_audio_is_written_in_sixteen_bits_and_read_again(tmp_path):
    samples = np.array([0.0, 0.5, -0.5, 1.5, -1.5, 1e-5])
    record = store({"id": "a/b ü", "audio": Audio(samples, 8000), "text": "x"}, tmp_path)
    assert record["audio"] == {"path": "audio/a%2Fb %C3%BC.wav", "sample_rate": 8000, "seconds": 0.00075}
    assert record["duration"] == 0.00075
    info = soundfile.info(tmp_path / record["audio"]["path"])
    assert (info.subtype, info.samplerate, info.frames) == ("PCM_16", 8000, 6)
    found = stored_audio(record["audio"], tmp_path)
    assert found.sample_rate == 8000
    np.testing.assert_allclose(found.samples, np.clip(samples, -1, 1 - 2**-15), atol=2**-16)


def test_audio_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(UserError, match="x.wav: .*not finite"):
        write_wav(tmp_path / "x.wav", Audio(np.array([0.0, np.nan]), 8000))
    assert not list(tmp_path.iterdir())


def test_infer_writes_the_audio_of_results_beside_them(make_recipe):
    recipe = make_recipe()
    (recipe / "src/model.py").write_text((recipe / "src/model.py").read_text() + textwrap.dedent(MODEL))
    training = recipe / "conf/training.yaml"
    training.write_text(training.read_text().replace("src.model.Echo", "src.model.Louder"))
    run(recipe)
    folder = recipe / "exp/training/inference/short"
    records = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert records[4]["audio"] == {"path": "audio/u004.wav", "sample_rate": 8000, "seconds": 0.0375}
    samples, rate = soundfile.read(folder / "audio/u004.wav")
    assert rate == 8000
    np.testing.assert_allclose(samples, np.full(300, 0.4), atol=2**-15)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["duration"] == pytest.approx(sum(record["duration"] for record in records), abs=1e-3)


class Spy:
    """A metric that keeps what it is given."""

    on_failure = {}

    def sources(self):
        return {"made": "audio", "level": "level"}

    def update(self, ids, **values):
        self.values = values


def test_metrics_get_the_audio_of_results(tmp_path):
    record = store({"id": "u", "audio": Audio(np.full(80, 0.25), 8000), "level": {"path": "x"}}, tmp_path)
    spy = Spy()
    feed(spy, [record], References([{"id": "u"}], "test"), tmp_path / "results.jsonl")
    (made,) = spy.values["made"]
    assert made.sample_rate == 8000
    np.testing.assert_allclose(made.samples, 0.25)
    assert spy.values["level"] == [{"path": "x"}]
