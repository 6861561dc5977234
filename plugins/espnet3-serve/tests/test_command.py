"""The verb: names, refusals before anything is loaded, and an end that leaves nothing unanswered."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from espnet3_core.cli.main import Parser
from espnet3_core.errors import UserError
from espnet3_serve.arguments import arguments
from espnet3_serve.command import default_name, limits_of, listen, named
from espnet3_serve.keys import read_keys
from load_generator import BOUNDARY, form
from serving_tools import Tones, as_file, letters, serving

HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def espnet3(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "espnet3_core", *map(str, words)]
    options = {"capture_output": True, "text": True, "timeout": 60, "check": False}
    return subprocess.run(command, env={**os.environ, **environment}, **options)


def test_help_has_an_example_and_imports_nothing_heavy():
    parser = Parser(prog="espnet3 serve")
    arguments(parser)
    text = parser.format_help()
    assert "example: espnet3 serve digits=exp/training/bundle" in " ".join(text.split())
    code = (
        "import sys, espnet3_serve._plugin, espnet3_serve.arguments, espnet3_serve.command\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'fastapi', 'uvicorn', 'starlette', 'prometheus_client'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_plugin_registers_the_verb():
    from espnet3_serve._plugin import espnet3_commands

    (spec,) = espnet3_commands()
    assert spec.name == "serve"


@pytest.mark.parametrize(
    ("bundle", "name"),
    [
        ("exp/conformer/bundle", "conformer"),
        ("exp/conformer/bundle/", "conformer"),
        ("bundle", "bundle"),
        ("models/digits.zip", "digits"),
        ("digits.tar.gz", "digits"),
        ("hf://org/digits@v1.0", "digits"),
        ("https://example.org/a/digits.zip#sha256=00ff", "digits"),
    ],
)
def test_names_come_from_folders_and_archives(bundle, name):
    assert default_name(bundle) == name
    assert named([bundle]) == {name: bundle}


def test_names_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("exp/a=1/bundle").mkdir(parents=True)
    words = [
        "whisper-1=exp/x/bundle",
        "org/v2=b.zip",
        "exp/a=1/bundle",
        "c=https://example.org/c.zip#sha256=0",
    ]
    assert named(words) == {
        "whisper-1": "exp/x/bundle",
        "org/v2": "b.zip",
        "a=1": "exp/a=1/bundle",
        "c": "https://example.org/c.zip#sha256=0",
    }
    with pytest.raises(UserError, match=r"x/d.zip and y/d.zip would both be called 'd'") as clash:
        named(["x/d.zip", "y/d.zip"])
    assert clash.value.hint == "give one a name: NAME=y/d.zip"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--queue", "0"], "--queue 0 lets nothing through"),
        (["--max-mb", "-1"], "--max-mb -1 lets nothing through"),
        (["--timeout", "nan"], "--timeout nan lets nothing through"),
        (["--wait-ms", "-1"], "--wait-ms -1 is negative"),
    ],
)
def test_limits_that_make_no_sense(words, message):
    parser = Parser()
    arguments(parser)
    with pytest.raises(UserError, match=message):
        limits_of(parser.parse_args(["bundle", *words]))


def test_a_port_that_is_taken():
    with listen("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(
            UserError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"
        ) as taken:
            listen("127.0.0.1", port)
    assert "--port chooses another one" in taken.value.hint
    with pytest.raises(UserError, match="--port 70000: there is no such port"):
        listen("127.0.0.1", 70000)


def test_what_is_not_a_bundle_ends_with_a_message(tmp_path):
    done = espnet3("serve", tmp_path, "--port", "0")
    assert done.returncode == 2
    assert "it is not a bundle: it has no manifest.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_come_from_a_file_and_the_environment(tmp_path, monkeypatch):
    path = tmp_path / "keys"
    path.write_text("one\n\n two \n")
    monkeypatch.setenv("ESPNET3_SERVE_KEYS", "three,four")
    keys = read_keys(path)
    assert all(keys.allow(key) for key in ("one", "two", "three", "four"))
    assert not any(keys.allow(key) for key in (None, "", "one\n", "on", "three,four"))
    monkeypatch.delenv("ESPNET3_SERVE_KEYS")
    assert read_keys(None).allow(None)
    path.write_text("\n \n")
    with pytest.raises(UserError, match="holds no key"):
        read_keys(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_keys(tmp_path / "absent")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_accepted_is_answered_before_the_end(tones: Tones, tmp_path: Path, number: signal.Signals):
    hold = tmp_path / "hold"
    environment = {**tones.environment, "TONES_HOLD": str(hold)}
    texts = ["alpha", "bravo", "kilo", "lima"]
    with serving(environment, f"ear={tones.listener}") as running, ThreadPoolExecutor(8) as pool:
        os.mkfifo(hold)
        answers = [pool.submit(_transcribe, running.port, text) for text in texts]
        with hold.open("wb"):
            # The model has come to the fifo. Once all have been accepted, the end is asked for.
            while f"in_progress {len(texts)}.0" not in _get(running.port, "/metrics"):
                pass
            hold.unlink()
            running.process.send_signal(number)
            while _accepts(running.port):
                pass
        assert [answer.result() for answer in answers] == texts
        assert running.process.wait(30) == 0


def test_who_goes_away_is_not_worked_for(tones: Tones, tmp_path: Path):
    hold = tmp_path / "hold"
    environment = {**tones.environment, "TONES_HOLD": str(hold)}
    body = form(as_file(letters("alpha")), "ear")
    with serving(environment, f"ear={tones.listener}") as running, ThreadPoolExecutor(1) as pool:
        os.mkfifo(hold)
        kept = pool.submit(_transcribe, running.port, "kilo")
        with hold.open("wb"):
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
            connection.request("POST", "/v1/audio/transcriptions", body, HEADERS)
            while "in_progress 2.0" not in _get(running.port, "/metrics"):
                pass
            connection.close()
            while "in_progress 1.0" not in _get(running.port, "/metrics"):
                pass
            hold.unlink()
        assert kept.result() == "kilo"


def _transcribe(port: int, text: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/v1/audio/transcriptions", form(as_file(letters(text)), "ear"), HEADERS)
    found: str = json.loads(connection.getresponse().read())["text"]
    return found


def _get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
