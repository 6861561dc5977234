"""Bundles of every version of the format stay loadable, and give what they gave."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from espnet3_core import load
from espnet3_core.bundle.check import check_bundle
from espnet3_core.bundle.manifest import SCHEMA
from espnet3_core.bundle.sample import differences
from espnet3_core.cli.main import main
from make import make

HERE = Path(__file__).parent


def test_there_is_a_bundle_of_this_version() -> None:
    assert check_bundle(HERE / f"version_{SCHEMA}").schema == SCHEMA
    assert sum(path.stat().st_size for path in HERE.glob("version_*/**/*") if path.is_file()) < 100_000


@pytest.mark.parametrize("name", ["version_1", "version_1_first"])
def test_bundles_of_all_versions_give_the_same_text(name: str) -> None:
    model = load(HERE / name, device="cpu")
    result = model(HERE / "version_1/sample/speech.wav")
    assert result.text == "rrtrhr"
    assert result.score == pytest.approx(-83.7830, abs=1e-3)
    assert [field.name for field in model.inputs] == ["speech"]


def test_the_sample_is_replayed_on_another_path_in_another_process(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = Path(shutil.copytree(HERE / "version_1", tmp_path / "with space" / "b"))
    assert main(["verify", str(bundle)]) == 0
    assert "the sample gives what it gave" in capfd.readouterr().out
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["sample"]["outputs"]["text"] = "one"
    manifest["sample"]["outputs"]["score"] += 1e-3  # within the tolerance, which is relative
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert main(["verify", str(bundle)]) == 2
    told = capfd.readouterr().err
    assert 'text: "one" is expected, and "rrtrhr" came' in told
    assert "score" not in told


def test_a_bundle_without_a_sample_is_verified_by_hashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(HERE / "version_1_first")]) == 0
    assert "it has no sample" in capsys.readouterr().out


def test_inspect_shows_and_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(HERE / "version_1")]) == 0
    text = capsys.readouterr().out
    for line in (
        "takes       speech: audio",
        "gives       text: text",
        "needs       espnet3-asr>=",
        "wer on test",
    ):
        assert line in text
    assert main(["inspect", str(HERE / "version_1"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["model"]["name"] == "asr/ctc"


def test_what_only_training_uses_is_not_packed_and_bytes_repeat(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make(tmp_path / name)
    assert json.loads((tmp_path / "a/config.json").read_text())["model"]["specaugment"] is None
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert differences(tmp_path / "a", load(tmp_path / "a", device="cpu")) == []
