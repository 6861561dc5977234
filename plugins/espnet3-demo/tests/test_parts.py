"""Timelines, inputs and labels without a browser."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from espnet3_core.config.roles import DemoConfig
from espnet3_core.errors import UserError
from espnet3_core.fields import FieldDeclaration
from espnet3_demo.command import open_port
from espnet3_demo.inputs import read
from espnet3_demo.timeline import Segment, lanes_of, segments_of, timeline
from espnet3_demo.widgets import confidences, input_widget


def test_lanes_hold_no_two_segments_at_a_time_and_are_as_few_as_can_be() -> None:
    chance = random.Random(1)
    for _ in range(50):
        starts = [chance.randrange(20) for _ in range(8)]
        segments = sorted(Segment("", start, start + chance.randrange(1, 6)) for start in starts)
        lanes = lanes_of(segments)
        busy = [
            [lane for lane, part in zip(lanes, segments, strict=True) if part.start <= t < part.end]
            for t in range(30)
        ]
        assert all(len(set(now)) == len(now) for now in busy)
        assert max(lanes) + 1 == max(map(len, busy))


def test_texts_of_a_timeline_are_no_markup() -> None:
    segments = segments_of([{"speaker": "<b>'\"", "start": 1.0, "end": 2.0}])
    page = timeline(segments, 4.0)
    assert "&lt;b&gt;&#x27;&quot;" in page
    assert "<b>" not in page
    assert "left:25.000%;width:25.000%" in page
    assert timeline([], 4.0) == ""


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("audio", None, "There is no audio yet: record something, or choose a file."),
        ("text", "  ", "There is no text yet: type some."),
        ("text", "a" * 501, "The text has 501 characters; at most 500 are taken."),
        ("number", "nan", "x: 'nan' is not a number."),
    ],
)
def test_inputs_are_refused_in_plain_words(kind: str, value: object, message: str) -> None:
    with pytest.raises(UserError) as error:
        read(FieldDeclaration("x", kind), value, DemoConfig(), 8000)
    assert error.value.message == message


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(bytes(2000))
    with pytest.raises(UserError, match="larger than 0.001 MB"):
        read(FieldDeclaration("x", "audio"), str(tmp_path / "a.wav"), DemoConfig(max_mb=0.001), 8000)


def test_what_may_be_left_out_and_what_a_page_cannot_ask_for() -> None:
    demo = DemoConfig()
    assert read(FieldDeclaration("x", "number", optional=True), "", demo, None) is None
    assert input_widget(FieldDeclaration("x", "embedding", optional=True), demo) is None
    with pytest.raises(UserError, match="the model takes 'x', and a page cannot ask for embedding"):
        input_widget(FieldDeclaration("x", "embedding"), demo)


def test_labels() -> None:
    assert confidences("yes") == "yes"
    assert confidences({"yes": 0.9, "no": 0.1}) == {"yes": 0.9, "no": 0.1}
    assert confidences({"yes": -0.1, "no": -2.0}) == "yes"


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}"):
            open_port("127.0.0.1", port)


def test_the_plugin_and_its_help_load_nothing_heavy() -> None:
    program = (
        "import sys, espnet3_demo._plugin as plugin, espnet3_demo.arguments\n"
        "list(plugin.espnet3_commands())\n"
        "print(sorted({'gradio', 'torch', 'numpy', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
