"""Pages, and a browser to look at them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from signals_tools import RATE, Signals, experiment, letters, make_signals, page  # noqa: E402


@pytest.fixture(scope="session")
def signals(tmp_path_factory: pytest.TempPathFactory) -> Signals:
    return make_signals(tmp_path_factory.mktemp("signals"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Debian's Chromium without a screen, whose microphone hears the letter g."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no chromium on PATH (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    soundfile.write(heard, letters("gggg"), RATE)
    arguments = [
        "--no-sandbox",
        "--autoplay-policy=no-user-gesture-required",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={heard}",
    ]
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=program, args=arguments)
        yield found
        found.close()


@pytest.fixture(scope="session")
def listening(signals: Signals) -> Iterator[str]:
    """The page of the listener, by the command."""
    recipe = signals.listening
    words = ["-m", "espnet3_core", "demo", experiment(recipe) / "bundle", "--recipe", recipe, "--port", 0]
    with page(words, signals.environment) as address:
        yield address


@pytest.fixture(scope="session")
def speaking(signals: Signals) -> Iterator[str]:
    """The page of the speaker, as its packed folder runs it."""
    with page([experiment(signals.speaking) / "demo/app.py"], signals.environment) as address:
        yield address
