"""Manifests, hashes, deterministic bytes, replacement, publishing."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from espnet3_core.bundle.check import check_bundle
from espnet3_core.bundle.config import DirectoryConfig
from espnet3_core.bundle.foreign import foreign
from espnet3_core.bundle.manifest import Manifest, read_manifest
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.bundle.publish import DirectoryPublisher
from espnet3_core.bundle.stage import upload_model
from espnet3_core.errors import Finding, UserError
from safetensors.torch import load_file


class Words:
    """A tokenizer with one file."""

    def save(self, directory: Path) -> None:
        directory.mkdir()
        (directory / "tokens.txt").write_text("a\nb\n")


SCORES = {"wer": {"test": {"wer": 3.25, "interval": [1.0, 5.0]}}}


def write(target: Path) -> Manifest:
    tied = torch.arange(6.0)
    weights = {"b": tied, "a": tied, "c": torch.tensor(1, dtype=torch.int64)}
    part = {"kind": "model", "name": "asr/ctc", "distribution": "espnet3-asr", "version": "0.1"}
    manifest = Manifest(
        system="asr/x", title="Digits", license="cc0-1.0", sample_rate=8000, components=[part], metrics=SCORES
    )
    return write_bundle(target, manifest, {"sample_rate": 8000}, weights, Words())


def contents(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_two_packings_have_the_same_bytes(tmp_path: Path) -> None:
    manifest = write(tmp_path / "a")
    write(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(tmp_path / "a")) == [
        "README.md",
        "config.json",
        "manifest.json",
        "model.safetensors",
        "tokenizer/tokens.txt",
    ]
    assert read_manifest(tmp_path / "a") == manifest
    assert check_bundle(tmp_path / "a") == manifest
    weights = load_file(tmp_path / "a" / "model.safetensors")
    assert weights["a"].tolist() == weights["b"].tolist() == [0, 1, 2, 3, 4, 5]
    card = (tmp_path / "a" / "README.md").read_text()
    assert "| wer | test | 3.25 | 1.00 to 5.00 |" in card
    assert "pip install espnet3-asr" in card
    assert "license: cc0-1.0" in card


def test_a_failure_leaves_the_former_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "bundle")
    before = contents(tmp_path / "bundle")

    def fail(self: Words, directory: Path) -> None:
        raise OSError(28, "No space left on device", str(directory))

    monkeypatch.setattr(Words, "save", fail)
    with pytest.raises(UserError, match="the disk is full"):
        write(tmp_path / "bundle")
    assert contents(tmp_path / "bundle") == before
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


def test_packing_again_replaces(tmp_path: Path) -> None:
    write(tmp_path / "bundle")
    (tmp_path / "bundle" / "stale").write_text("x")
    write(tmp_path / "bundle")
    assert "stale" not in contents(tmp_path / "bundle")
    assert [p.name for p in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.safetensors", lambda b: b[:-1], "model.safetensors has"),
        ("model.safetensors", lambda b: b[:-1] + b"!", "another SHA-256"),
        ("config.json", None, "config.json is missing"),
        ("tokenizer/extra.model", lambda b: b"x", "tokenizer/extra.model is not in the manifest"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, damage: Any, message: str) -> None:
    write(tmp_path / "bundle")
    path = tmp_path / "bundle" / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes() if path.exists() else b""))
    with pytest.raises(UserError, match=re.escape(message)):
        check_bundle(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "it is not a bundle"),
        ("{", "it is not JSON"),
        ("{}", "it has no `schema`"),
        ('{"schema": 2, "system": "a/b"}', "format 2 is not known here"),
        ('{"schema": 1}', "names no system"),
    ],
)
def test_manifests_that_cannot_be_used(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_manifest(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        read_manifest(tmp_path / "absent")


def test_what_a_bundle_must_not_hold(tmp_path: Path) -> None:
    (tmp_path / "lm.pt").write_text("x")
    node = {
        "encoder": {"_target_": "src.model.Mine"},
        "paths": ["lm.pt", "none.pt"],
        "text": "${oc.env:HOME}",
    }
    found = {finding.key: finding.message for finding in foreign(node, "model", tmp_path)}
    assert found.keys() == {"model.encoder", "model.paths.0", "model.text"}
    assert "src.model.Mine is chosen by import path" in found["model.encoder"]


def test_publishing_to_a_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "bundle")
    publisher = DirectoryPublisher(DirectoryConfig(path="out"), recipe_dir=tmp_path)
    with caplog.at_level(logging.INFO):
        publisher.publish(tmp_path / "bundle", dry_run=True)
    assert "would copy model.safetensors" in caplog.text
    assert not (tmp_path / "out").exists()
    assert publisher.publish(tmp_path / "bundle") == str(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "bundle")
    (tmp_path / "out" / "mine").write_text("stays")
    stamp = os.stat(tmp_path / "out" / "model.safetensors").st_mtime_ns
    publisher.publish(tmp_path / "bundle")
    assert os.stat(tmp_path / "out" / "model.safetensors").st_mtime_ns == stamp
    (tmp_path / "out" / "config.json").write_text("other")
    with pytest.raises(UserError, match=r"other contents already: config\.json"):
        publisher.publish(tmp_path / "bundle")
    DirectoryPublisher(DirectoryConfig(path=str(tmp_path / "out"), overwrite=True)).publish(
        tmp_path / "bundle"
    )
    assert (tmp_path / "out" / "mine").read_text() == "stays"
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {"sample_rate": 8000}


def test_upload_asks_plugins_and_prints_the_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "bundle")
    findings: list[Finding] = []
    upload: Any = SimpleNamespace(
        build=lambda **needs: DirectoryPublisher(DirectoryConfig(path="out"), recipe_dir=needs["recipe_dir"])
    )
    publication = SimpleNamespace(upload=upload, dry_run=True)
    context: Any = SimpleNamespace(
        config=lambda role: publication,
        experiment=SimpleNamespace(bundle=tmp_path / "bundle"),
        catalog=SimpleNamespace(before_publish=lambda manifest: findings),
        needs=lambda: {"recipe_dir": tmp_path},
        note=lambda **facts: None,
        logger=logging.getLogger("test"),
    )
    findings.append(Finding(message="bundles need a licence"))
    with pytest.raises(UserError, match="bundles need a licence"):
        upload_model(context)
    assert not (tmp_path / "out").exists()
    findings.clear()
    upload_model(context)
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr().out == ""
    publication.dry_run = False
    upload_model(context)
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    publication.upload = None
    with pytest.raises(UserError, match=r"publication\.upload is not set"):
        upload_model(context)
