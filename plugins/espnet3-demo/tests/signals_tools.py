"""Tones as speech, recipes that hear and make them, and pages in processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from espnet3_core.train.checkpoints import save_weights

HERE = Path(__file__).parent
RATE = 8000
SECONDS, LOWEST, STEP = 0.25, 300.0, 50.0
_RUN = """
import sys
from espnet3_core.recipe.run import run
for recipe in sys.argv[2:]:
    run(recipe, stages=sys.argv[1].split(","), force=True)
"""


@dataclass
class Signals:
    """Recipes with packed models and pages, and the environment in which their plugin is installed."""

    listening: Path
    speaking: Path
    environment: dict[str, str]

    def run(self, stages: str, *recipes: Path) -> str:
        """Run stages of recipes, whether they are up to date or not; returns what was printed."""
        command = [sys.executable, "-c", _RUN, stages, *map(str, recipes)]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def experiment(recipe: Path) -> Path:
    return recipe / "exp/training"


def letters(text: str, rate: int = RATE) -> np.ndarray:
    """The tones of a text, made without the plugin."""
    time = np.arange(round(SECONDS * rate)) / rate
    tones = [
        0.5 * np.sin(2 * np.pi * (LOWEST + STEP * (ord(letter) - ord("a"))) * time)
        if letter != " "
        else np.zeros(len(time))
        for letter in text
    ]
    return np.concatenate(tones).astype(np.float32)


def heard(samples: np.ndarray, rate: int) -> str:
    """The text of tones, heard without the plugin."""
    blocks = np.split(samples, len(samples) // round(SECONDS * rate))
    peaks = [np.abs(np.fft.rfft(block, n=rate)).argmax() for block in blocks]
    return "".join(chr(round((peak - LOWEST) / STEP) + ord("a")) for peak in peaks)


def write_recipe(folder: Path, system: str, model: str, sample: str, demo: str) -> Path:
    """A recipe with the weights of a training."""
    dataset = f"{{sample_rate: {RATE}, train: {{name: core/manifest, path: train.tsv}}}}"
    files = {
        "recipe.yaml": f"name: signals\nsystem: {system}\n",
        "train.tsv": "id\tpath\ttext\n",
        "conf/training.yaml": f"dataset: {dataset}\nmodel: {{name: {model}}}\n",
        "conf/inference.yaml": "checkpoint: weights.safetensors\ntest_sets: {}\n",
        "conf/publication.yaml": (f"title: Signals\nlicense: CC0-1.0\nlanguage: [en]\nsample: {sample}\n"),
        "conf/demo.yaml": demo,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    soundfile.write(folder / "sample.wav", letters("deed"), RATE)
    for name in ("checkpoints", "config"):
        (experiment(folder) / name).mkdir(parents=True)
    save_weights(experiment(folder) / "checkpoints/weights.safetensors", {"gain": torch.ones(1)}, {})
    (experiment(folder) / "config/training.yaml").write_text(files["conf/training.yaml"])
    return folder


def make_signals(folder: Path) -> Signals:
    """Install the plugin of signals in a folder, and pack its models and pages."""
    info = folder / "site/espnet3_signals-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: espnet3-signals\nVersion: 1.0\nRequires-Dist: espnet3-core>=0.1\n"
    )
    (info / "entry_points.txt").write_text("[espnet3.v1]\nsignals = signals_plugin\n")
    path = [str(folder / "site"), str(HERE / "signals"), *filter(None, [os.environ.get("PYTHONPATH")])]
    signals = Signals(
        write_recipe(
            folder / "listening", "signals/listening", "signals/listener", "sample.wav",
            "title: Hear letters\ndescription: Each letter is a tone.\nmax_seconds: 3\n",
        ),
        write_recipe(
            folder / "speaking", "signals/speaking", "signals/speaker", "ace",
            "max_characters: 20\npage: {_target_: src.page.build, heading: My own page}\n"
            "upload: {name: core/directory, path: published}\n",
        ),
        {**os.environ, "PYTHONPATH": os.pathsep.join(path), "GRADIO_TEMP_DIR": str(folder / "gradio")},
    )  # fmt: skip
    (signals.speaking / "src").mkdir()
    (signals.speaking / "src/page.py").write_text(
        '''"""The page of this recipe: the plain one below a heading."""

import gradio as gr
from espnet3_demo.page import build_page


def build(heading, *, model, demo):
    with gr.Blocks(title=heading) as page:
        gr.Markdown(f"# {heading}")
        build_page(model, demo)
    return page
'''
    )
    signals.run("pack_model,pack_demo", signals.listening, signals.speaking)
    return signals


@contextmanager
def page(words: Sequence[object], environment: dict[str, str]) -> Iterator[str]:
    """A page that runs in a process of its own; gives its address."""
    command = [sys.executable, "-u", *map(str, words)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://[\d.:]+", line):
                yield found[0]
                break
        else:
            raise AssertionError("".join(said))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
