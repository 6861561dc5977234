"""A Hub for the tests, a bundle, and commands of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import hub_server
from hub_bundles import pack


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of no model in particular."""
    return pack(tmp_path / "bundle")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_server.Hub]:
    """A Hub, which the environment and the client in this process know, and a writer's token."""
    from huggingface_hub import constants

    home = tmp_path / "hf"
    with hub_server.running() as server:
        settings = {"HF_ENDPOINT": server.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        for name, value in {**settings, "HF_TOKEN": hub_server.WRITER}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "cache"))
        # The client reads its environment when it is imported, which another test may have done.
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = f"{server.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
        yield server


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python code in a process of its own; what still runs in the end is killed."""
    begun: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *arguments]
        begun.append(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return begun[-1]

    yield start
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()
