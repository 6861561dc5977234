"""From recordings to a voice: all stages on audio of two speakers, then the command with its bundle."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from espnet3_core import load
from espnet3_core.cli.main import main
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from espnet3_core.recipe.run import run

SAMPLE = Path(__file__).parents[3] / "recipes/fsdd/asr/sample"
SPEAKERS = ["flite-kal16", "flite-slt"]
RECIPE = {
    "recipe.yaml": "name: digits/tts\nsystem: tts/synthesis\nrequires: [espnet3-tts>=0.1]\n",
    "conf/training.yaml": f"""
seed: 1
dataset:
  sample_rate: 8000
  train: &data
    {{name: core/manifest, path: {SAMPLE}/manifest.tsv, where: {{speaker: [{", ".join(SPEAKERS)}]}}}}
  valid: *data
tokenizer: {{name: tts/characters}}
model:
  name: tts/fastspeech2
  frontend: {{name: tts/features, n_fft: 512, window: 512, hop: 128, n_mels: 40, fmax: null}}
  token_size: 16
  encoder: &blocks {{name: tts/fft, output_size: 16, linear_units: 16, num_blocks: 1, kernels: [3, 1]}}
  decoder: *blocks
  predictor: {{channels: 16}}
  aligner: {{temperature: 0.1, binarization_start: 1, binarization_ramp: 1}}
  speakers: [{", ".join(SPEAKERS)}]
  statistics: speaker
batch: {{seconds: 20.0}}
callbacks: [{{name: tts/pictures, every: 2, utterances: 1}}]
loggers: [{{name: core/tensorboard}}]
trainer: {{max_epochs: 3, accelerator: cpu}}
""",
    "conf/inference.yaml": f"""
checkpoint: last
test_sets:
  test: {{name: core/manifest, path: {SAMPLE}/manifest.tsv, where: {{speaker: [{", ".join(SPEAKERS)}]}}}}
search: {{name: tts/synthesizer, vocoder: {{name: tts/griffin_lim, iterations: 4}}}}
device: cpu
""",
    "conf/vocoder.yaml": f"""
seed: 1
dataset:
  sample_rate: 8000
  train: &data
    {{name: core/manifest, path: {SAMPLE}/manifest.tsv, where: {{speaker: [{", ".join(SPEAKERS)}]}}}}
  valid: *data
model:
  name: tts/hifigan
  frontend: {{name: tts/features, n_fft: 512, window: 512, hop: 128, n_mels: 40, fmax: null}}
  generator:
    {{channels: 16, upsampling: [8, 4, 4], upsampling_kernels: [16, 8, 8], kernels: [3], dilations: [[1, 3]]}}
  discriminators: {{periods: [2, 3], scales: 1, divisor: 8}}
  segment: 8
optimizers:
  discriminator:
    parameters: ["discriminator.*"]
    optimizer: {{name: core/adamw, lr: 1.0e-3, betas: [0.8, 0.99]}}
  generator:
    parameters: ["generator.*"]
    optimizer: {{name: core/adamw, lr: 1.0e-3, betas: [0.8, 0.99]}}
batch: {{size: 8}}
checkpoint: {{best: [{{monitor: valid/generator/mel, keep: 1}}]}}
trainer: {{max_epochs: 3, accelerator: cpu}}
""",
    "conf/copies.yaml": f"""
checkpoint: best
test_sets:
  test: {{name: core/manifest, path: {SAMPLE}/manifest.tsv, where: {{speaker: [{", ".join(SPEAKERS)}]}}}}
device: cpu
""",
    "conf/metrics.yaml": """
metrics:
  mcd: {name: tts/mcd, n_fft: 512, hop: 128, n_mels: 40}
  duration_error: {name: tts/duration_error}
  rtf: {name: tts/rtf}
""",
    "conf/publication.yaml": "title: Digits\nlanguage: [en]\n",
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe whose stages through pack_model have run."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("digits")
    for name, text in RECIPE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    stages = ["train_tokenizer", "collect_stats", "train", "infer", "measure", "pack_model"]
    run(folder, stages=stages)
    return folder


def test_training_makes_progress(recipe):
    lines = (recipe / "exp/training/metrics.jsonl").read_text().splitlines()
    losses = [line["valid/loss"] for line in map(json.loads, lines) if line["kind"] == "valid"]
    assert len(losses) == 3
    assert losses[-1] < losses[0]


def test_pictures_and_samples_are_written_in_validation(recipe):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = recipe / "exp/training/pictures"
    (picture,), (sample,) = folder.glob("*.png"), folder.glob("*.wav")
    assert picture.stem == sample.stem
    assert picture.name.startswith("epoch0002_flite-")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert soundfile.info(sample).samplerate == 8000
    events = EventAccumulator(
        str(next((recipe / "exp/training/tensorboard").rglob("events.*")).parent)
    ).Reload()
    name = f"valid/{picture.stem.partition('_')[2]}"
    assert name in events.Tags()["images"]
    assert name in events.Tags()["audio"]


def test_results_are_files_with_the_rate_of_the_model(recipe):
    folder = recipe / "exp/training/inference/test"
    records = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert len(records) > 10
    for record in records:
        info = soundfile.info(folder / record["audio"]["path"])
        assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")
        assert info.frames == sum(record["durations"]) * 128
        assert record["duration"] == pytest.approx(info.duration, abs=1e-5)
        assert record["rtf"] > 0
    assert json.loads((folder / "summary.json").read_text())["rtf"] > 0


def test_scores_stand_beside_them(recipe):
    scores = json.loads((recipe / "exp/training/inference/metrics.json").read_text())
    assert set(scores) == {"mcd", "duration_error", "rtf"}
    assert 0 < scores["mcd"]["test"]["mcd"] < 30
    assert scores["mcd"]["test"]["provenance"]["seen_in_training"] > 0


def test_the_bundle_says_what_infer_said(recipe):
    folder = recipe / "exp/training/inference/test"
    record = json.loads((folder / "results.jsonl").read_text().splitlines()[0])
    manifest = [line.split("\t") for line in (SAMPLE / "manifest.tsv").read_text().splitlines()]
    row = next(line for line in manifest if line[0] == record["id"])
    model = load(recipe / "exp/training/bundle", device="cpu")
    result = model(row[2], speaker=row[3])
    assert list(result.tokens) == record["tokens"]
    assert result.fields["durations"] == record["durations"]
    assert isinstance(result.audio, Audio)
    wanted, _ = soundfile.read(folder / record["audio"]["path"])
    np.testing.assert_allclose(np.clip(result.audio.samples, -1, 1), wanted, atol=1e-3)


@pytest.fixture(scope="module")
def vocoder(recipe: Path) -> Path:
    """The bundle of a HiFi-GAN trained by named optimizers in the same recipe."""
    stages = ["collect_stats", "train", "infer", "measure", "pack_model"]
    stems = {"training": "vocoder", "inference": "copies"}
    run(recipe, stages=stages, stems=stems, overrides=["publication.sample=null"])  # it takes no text
    return recipe / "exp/vocoder/bundle"


def test_a_vocoder_learns_through_named_optimizers(recipe, vocoder):
    lines = (recipe / "exp/vocoder/metrics.jsonl").read_text().splitlines()
    distances = [line["valid/generator/mel"] for line in map(json.loads, lines) if line["kind"] == "valid"]
    assert len(distances) == 3
    assert distances[-1] < distances[0]
    scores = json.loads((recipe / "exp/vocoder/copies/metrics.json").read_text())
    assert 0 < scores["mcd"]["test"]["mcd"] < 40


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def tts(recipe: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command: (exit code, stderr)."""
    monkeypatch.setenv("ESPNET3_TTS_MODEL", str(recipe / "exp/training/bundle"))

    def call(*words: Any, speaker: str | None = "flite-slt") -> tuple[int, str]:
        capsys.readouterr()
        who = [] if speaker is None else ["--speaker", speaker]
        code = main(["tts", *map(str, words), *who, "--device", "cpu"])
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    return call


def test_a_text_becomes_a_wav_file(tts, tmp_path):
    code, said = tts("One two. 3!", "-o", tmp_path / "new" / "a.wav")
    assert code == 0
    assert "s of audio at 8000 Hz" in said
    assert "RTF" in said
    assert soundfile.info(tmp_path / "new" / "a.wav").subtype == "PCM_16"


def test_controls_and_seeds(tts, tmp_path):
    def samples(*words: Any) -> np.ndarray:
        assert tts("one two three four", "-o", tmp_path / "a.wav", *words)[0] == 0
        return soundfile.read(tmp_path / "a.wav")[0]

    plain = samples()
    assert np.array_equal(plain, samples())
    assert not np.array_equal(plain, samples("--seed", 5))
    assert len(samples("--speed", 2)) < 0.7 * len(plain)
    assert len(samples("--pitch", 1.5)) == len(plain)


def test_a_trained_vocoder_speaks(tts, vocoder, tmp_path):
    for name, words in (("a", ["--vocoder", vocoder]), ("b", [])):
        assert tts("one two", "-o", tmp_path / f"{name}.wav", *words)[0] == 0
    first, second = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in "ab")
    assert len(first) == len(second)
    assert not np.allclose(first, second, atol=1e-3)


def test_lines_of_a_file_become_files(tts, tmp_path):
    (tmp_path / "lines.txt").write_text("first\tone two\n\nthree\n")
    code, _ = tts("--file", tmp_path / "lines.txt", "-o", tmp_path / "out")
    assert code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["3.wav", "first.wav"]


def test_standard_input(tts, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one two"))
    assert tts("-", "-o", tmp_path / "a.wav")[0] == 0
    assert (tmp_path / "a.wav").exists()


def test_one_bad_line_does_not_take_the_others_with_it(tts, tmp_path):
    (tmp_path / "lines.txt").write_text("one\n☃\nthree\n")
    code, said = tts("--file", tmp_path / "lines.txt", "-o", tmp_path / "out")
    assert code == 2
    assert "lines.txt:2" in said
    assert "(U+2603 SNOWMAN)" in said
    assert "1 failed" in said
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert tts("--file", tmp_path / "lines.txt", "-o", tmp_path / "out", "--unknown", "spell")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["", "-o", "a.wav"], "the text is empty: there is nothing to say"),
        (["one", "-o", "a.wav", "--file", "x"], "both a text and --file were given"),
        (["--file", "nowhere.txt", "-o", "out"], "nowhere.txt: cannot be read"),
        (["--file", "x", "-o", "a.wav"], "--file makes several files"),
        (["one", "-o", "a.wav", "--speed", "9"], "speed is 9; it goes from 0.25 to 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told(tts, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, said = tts(*words)
    assert code == 2
    assert message in said
    assert not (tmp_path / "a.wav").exists()


def test_speakers_are_asked_for(tts, tmp_path):
    code, said = tts("one", "-o", tmp_path / "a.wav", speaker=None)
    assert code == 2
    assert "2 speakers, and none is chosen" in said
    code, said = tts("one", "-o", tmp_path / "a.wav", speaker="flite-slr")
    assert code == 2
    assert "flite-slt" in said


def test_options_of_a_search_must_be_its_own(recipe, vocoder):
    with pytest.raises(UserError, match="search.sped: unknown key 'sped'"):
        load(recipe / "exp/training/bundle", device="cpu", search={"sped": 2})
    with pytest.raises(UserError, match="was packed without a search, and so has no speed"):
        load(vocoder, device="cpu", search={"speed": 2})
