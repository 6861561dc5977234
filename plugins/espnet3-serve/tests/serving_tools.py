"""Tones as speech, bundles that hear and make them, and servers in processes of their own."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from espnet3_core.train.checkpoints import save_weights

HERE = Path(__file__).parent
RATE = 8000
SECONDS, LOWEST, STEP = 0.04, 300.0, 50.0


@dataclass
class Tones:
    """Bundles and the environment in which their plugin is installed."""

    listener: Path
    speaker: Path
    environment: dict[str, str]


@dataclass
class Running:
    """A server."""

    url: str
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


def letters(text: str, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    """The tones of a text, made without the plugin."""
    time = np.arange(round(SECONDS * rate)) / rate
    tones = [
        level * np.sin(2 * np.pi * (LOWEST + STEP * (ord(letter) - ord("a"))) * time)
        if letter != " "
        else np.zeros(len(time))
        for letter in text
    ]
    return np.concatenate(tones).astype(np.float32)


def heard(samples: np.ndarray, rate: int) -> str:
    """The text of tones, heard without the plugin."""
    size = round(SECONDS * rate)
    found = ""
    for start in range(0, len(samples) - size // 2, size):
        block = samples[start : start + size]
        peak = np.abs(np.fft.rfft(block, n=rate)).argmax()
        found += " " if np.sqrt(np.mean(block**2)) < 0.15 else chr(round((peak - LOWEST) / STEP) + ord("a"))
    return found


def as_file(samples: np.ndarray, rate: int = RATE, form: str = "WAV", subtype: str | None = None) -> bytes:
    """The bytes of an audio file."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=subtype)
    return stream.getvalue()


def _pack(folder: Path, system: str, model: str, rate: int, environment: dict[str, str]) -> Path:
    dataset = f"{{sample_rate: {rate}, train: {{name: core/manifest, path: train.tsv}}}}"
    files = {
        "recipe.yaml": f"name: tones\nsystem: {system}\n",
        "train.tsv": "id\tpath\ttext\n",
        "conf/training.yaml": f"dataset: {dataset}\nmodel: {{name: {model}}}\n",
        "conf/inference.yaml": "checkpoint: weights.safetensors\nbatch: {size: 32}\ntest_sets: {}\n",
        "conf/publication.yaml": "title: Tones\nlicense: cc0-1.0\nlanguage: [en]\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    checkpoints = folder / "exp/training/checkpoints"
    checkpoints.mkdir(parents=True)
    save_weights(checkpoints / "weights.safetensors", {"gain": torch.ones(1)}, {})
    (folder / "exp/training/config").mkdir()
    (folder / "exp/training/config/training.yaml").write_text(files["conf/training.yaml"])
    command = [sys.executable, "-m", "espnet3_core", "run", str(folder), "--stages", "pack_model"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "exp/training/bundle"


def make_tones(folder: Path) -> Tones:
    """Install the plugin of tones in a folder, and pack its models."""
    info = folder / "site/espnet3_tones-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: espnet3-tones\nVersion: 1.0\nRequires-Dist: espnet3-core>=0.1\n"
    )
    (info / "entry_points.txt").write_text("[espnet3.v1]\ntones = tones_plugin\n")
    path = [str(folder / "site"), str(HERE / "tones"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    return Tones(
        _pack(folder / "listening", "tones/listening", "tones/listener", RATE, environment),
        _pack(folder / "speaking", "tones/speaking", "tones/speaker", 16000, environment),
        environment,
    )


@contextmanager
def serving(environment: dict[str, str], *arguments: object) -> Iterator[Running]:
    """A server in a process of its own, on a free port."""
    command = [sys.executable, "-m", "espnet3_core", "serve", *map(str, arguments), "--port", "0"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = []
        for line in process.stderr:
            said.append(line)
            if found := re.search(r"http://\S+", line):
                yield Running(found[0], process)
                break
        else:
            raise AssertionError("".join(said))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
