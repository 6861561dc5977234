"""An experiment as a plugin's task leaves it, which core does not know, and a reader of pages."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

EVIL = "<script>alert('1')</script> & \"so\" on\x00"
VOID = {"meta", "img", "input", "br", "link"}
SYSTEM = """
from espnet3_core.fields import FieldDeclaration
from espnet3_core.recipe.stages import INFER, MEASURE, TRAIN
from espnet3_core.specs import SystemSpec

SYSTEM = SystemSpec(
    name="recipe/barks", stages=(TRAIN, INFER, MEASURE),
    inputs=(FieldDeclaration("bark", "audio"),), outputs=(FieldDeclaration("label", "label"),),
)
"""
DATA = """
import numpy as np

class Barks:
    def __init__(self, count, recipe_dir):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == 2:
            raise OSError("the disk is tired")
        return {"id": f"dog-{index}", "bark": np.full(800 + index, 0.25, np.float32), "text": "bow wow"}

    def ids(self):
        return [f"dog-{index}" for index in range(self.count)]
"""


@dataclass
class Node:
    """An element.

    Attributes:
        text: Its own text and that of all within it.
    """

    tag: str
    attributes: dict[str, str | None]
    children: list[Node] = field(default_factory=list)
    text: str = ""


class Page(HTMLParser):
    """Reads a page and refuses one that is not well formed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[Node] = []
        self.nodes: list[Node] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        node = Node(tag, dict(attrs))
        self.nodes.append(node)
        if self.open:
            self.open[-1].children.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        for node in self.open:
            node.text += data

    def all(self, tag: str, class_: str = "") -> list[Node]:
        """Elements of a kind, in the order of the page."""
        return [
            node
            for node in self.nodes
            if node.tag == tag and (not class_ or class_ in (node.attributes.get("class") or "").split())
        ]

    def section(self, name: str) -> Node:
        """A section by its id."""
        (found,) = (node for node in self.nodes if node.attributes.get("id") == name)
        return found


def rows(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def journal() -> list[dict[str, Any]]:
    """Three epochs of four steps; the second validation is the best."""
    found: list[dict[str, Any]] = []
    speed = {"step_time": 0.5, "data_wait": 0.25, "utterances_per_second": 8.0, "padding": 0.1}
    for epoch, (train, valid) in enumerate([(3.0, 2.5), (2.0, 1.25), (1.5, 1.75)]):
        for step in (4 * epoch + 2, 4 * epoch + 4):
            values = {"lr": 10.0**-step, "train/loss": train + 1 / step, "train/flat": 7.0}
            found.append({"kind": "interval", "epoch": epoch, "step": step, **values, **speed})
        end = {"epoch": epoch, "step": 4 * epoch + 4}
        found.append({"kind": "valid", **end, "valid/loss": valid})
        means = {"lr": 10.0 ** -end["step"], "train/loss": train, "valid/loss": valid}
        found.append({"kind": "epoch", **end, **means, "seconds": 3.0})
    return found


def png() -> bytes:
    """A picture of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


SCORES = {
    "accuracy": {
        "barks": {
            "accuracy": 40.0,
            "interval": [20.0, 60.5],
            "level": 95.0,
            "interval_by": "utterance",
            "dogs": 5,
            "metric": "recipe/accuracy",
            "version": "1",
            "better": "higher",
            "ratio": {"numerator": "right", "denominator": None, "scale": 100.0},
            "failed": 1,
            "provenance": {},
        }
    }
}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def write_experiment(recipe: Path) -> Path:
    """A recipe with one experiment through all stages."""
    folder = recipe / "exp/training"
    write(recipe / "recipe.yaml", "name: barks\nsystem: {_target_: src.system.SYSTEM}\n")
    write(recipe / "src/system.py", SYSTEM)
    write(recipe / "src/data.py", DATA)
    write(folder / "metrics.jsonl", rows(*journal()))
    write(
        folder / "config/training.yaml",
        f"seed: 1\ndataset: {{sample_rate: 8000}}\nnote: {json.dumps('</style>' + EVIL)}\n"
        "model: {name: recipe/ears, encoder: {name: recipe/fur, sizes: [1, 2]}}\n"
        "checkpoint: {best: [{monitor: valid/loss, mode: min}]}\n",
    )
    write(folder / "config/inference.yaml", "test_sets:\n  barks: {_target_: src.data.Barks, count: 5}\n")
    kept = [
        {"file": f"epoch{epoch:03d}.safetensors", "value": value, "epoch": epoch, "step": 4 * epoch + 4}
        for epoch, value in [(1, 1.25), (2, 1.75)]
    ]
    average = {"file": "average.safetensors", "sources": kept}
    selection = {"monitor": "valid/loss", "mode": "min", "keep": 2, "kept": kept, "average": average}
    index = {"selections": [selection], "last": {"file": "last.ckpt", "epoch": 3, "step": 12, "batch": 0}}
    write(folder / "checkpoints/index.json", json.dumps(index))
    for place, stage in enumerate(("train", "infer", "measure")):
        record = {
            "stage": stage,
            "state": "done",
            "seconds": 61.0,
            "started": f"2026-01-0{place + 1}T10:00:00+00:00",
            "versions": {"python": "3.11.7", "acme": f"1.{place // 2}"},
            "command": ["espnet3", "run", "<b>"],
        }
        write(folder / f"stages/{stage}.json", json.dumps(record))
    write_results(folder)
    (folder / "pictures").mkdir()
    (folder / "pictures/epoch0002.png").write_bytes(png())
    soundfile.write(folder / "pictures/epoch0002.wav", np.zeros(80), 8000)
    return folder


def write_results(folder: Path) -> None:
    """Five utterances, two of them right, one failed, one with the text of a joker."""
    labels = ["dog", "cat", "dog", EVIL, None]
    results = [
        {"id": f"dog-{n}", "label": label, "text": f"it is a {label}"}
        if label
        else {"id": f"dog-{n}", "error": "no <air>"}
        for n, label in enumerate(labels)
    ]
    results[0]["sound"] = {"path": "sound/dog-0.wav", "sample_rate": 8000, "seconds": 0.1}
    measured = [
        {"id": f"dog-{n}", "reference": "dog", "hypothesis": label or "", "right": int(label == "dog")}
        for n, label in enumerate(labels)
    ]
    write(folder / "inference/metrics.json", json.dumps(SCORES))
    write(folder / "inference/barks/results.jsonl", rows(*results))
    write(folder / "inference/barks/accuracy.jsonl", rows(*measured))
    (folder / "inference/barks/sound").mkdir()
    soundfile.write(folder / "inference/barks/sound/dog-0.wav", np.linspace(-0.5, 0.5, 800), 8000)


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return write_experiment(tmp_path / "dogs/barks")


Report = Callable[..., Page]


@pytest.fixture
def report(tmp_path: Path, run_command: Callable[..., tuple[int, str, str]]) -> Report:
    """Writes a page and reads it."""

    def make(experiment: Path, *options: str) -> Page:
        output = tmp_path / "page.html"
        code, out, err = run_command("report", str(experiment), "-o", str(output), *options)
        assert (code, err) == (0, ""), err
        assert str(output) in out
        return Page(output.read_text("utf-8"))

    return make
