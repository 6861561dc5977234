"""Pages in a real browser: what a visitor does, and sees."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import espnet3_core
import pytest
import soundfile
from espnet3_core.bundle.archive import write_archive
from signals_tools import RATE, heard, letters, page

ROOT = Path(__file__).parents[3]
PATIENCE = 20_000
"""Milliseconds that a loaded machine may take."""


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Open a page; afterwards nothing may have been asked of another host."""
    context = browser.new_context(permissions=["microphone"])
    context.set_default_timeout(PATIENCE)
    asked: set[str | None] = set()

    def opened(address: str) -> Any:
        page = context.new_page()
        page.on("request", lambda request: asked.add(urlsplit(request.url).hostname))
        page.goto(address)
        page.wait_for_selector("#run")
        return page

    yield opened
    context.close()
    assert asked <= {"127.0.0.1", None, ""}


def recording(folder: Path, text: str) -> Path:
    soundfile.write(folder / "recording.wav", letters(text), RATE)
    return folder / "recording.wav"


def choose(page: Any, path: Path) -> None:
    """Give a file to the page, and wait until it is there."""
    page.locator("#speech input[type=file]").set_input_files(path)
    page.wait_for_selector("#speech a[download]", state="attached")


def written(page: Any, text: str) -> None:
    """Wait until the transcript is as expected."""
    page.wait_for_function("text => document.querySelector('#text-out textarea').value === text", arg=text)


def told(page: Any, text: str) -> None:
    page.locator("#problem", has_text=text).wait_for()


def test_a_wav_becomes_a_transcript_and_all_else_that_is_declared(
    visit: Any, listening: str, tmp_path: Path
) -> None:
    page = visit(listening)
    assert page.title() == "Hear letters"
    choose(page, recording(tmp_path, "bad cafe"))
    page.click("#run")
    written(page, "bad cafe")
    boxes = page.locator("#words-out .segment")
    assert boxes.all_inner_texts() == ["bad", "cafe"]
    track = page.locator("#words-out .track").bounding_box()
    left, right = (boxes.nth(1).bounding_box()[key] for key in ("x", "width"))
    assert (left - track["x"]) / track["width"] == pytest.approx(0.5, abs=0.01)
    assert right / track["width"] == pytest.approx(0.5, abs=0.01)
    assert page.locator("#level-out textarea, #level-out input").input_value() == "0.330719"
    assert "low" in page.locator("#voice-out").inner_text()
    assert "75%" in page.locator("#voice-out").inner_text()


def test_a_wrong_file_is_told_plainly_and_the_next_one_works(
    visit: Any, listening: str, tmp_path: Path
) -> None:
    page = visit(listening)
    wrong = tmp_path / "letter.wav"
    wrong.write_text("Dear madam,")
    choose(page, wrong)
    page.click("#run")
    told(page, "This file cannot be read as audio; wav, flac, ogg (Vorbis, Opus), mp3 and aiff are read.")
    page.click("#speech [aria-label=Clear]")
    choose(page, recording(tmp_path, "fed"))
    page.click("#run")
    written(page, "fed")
    assert not page.locator("#problem").is_visible()


def test_what_is_too_long_missing_or_beyond_the_model(visit: Any, listening: str, tmp_path: Path) -> None:
    page = visit(listening)
    page.click("#run")
    told(page, "There is no audio yet: record something, or choose a file.")
    choose(page, recording(tmp_path, "abcabcabcabcabcabc"))
    page.click("#run")
    told(page, "The recording lasts 4 s; at most 3 s are taken.")
    page.click("#speech [aria-label=Clear]")
    choose(page, recording(tmp_path, "    "))
    page.click("#run")
    told(page, "The model could not process this.")


def test_the_sample_is_there_to_be_tried(visit: Any, listening: str) -> None:
    page = visit(listening)
    page.get_by_text("speech.wav").click()
    page.wait_for_selector("#speech a[download]", state="attached")
    page.click("#run")
    written(page, "deed")


def test_the_microphone(visit: Any, listening: str) -> None:
    """The browser's microphone plays a recording again and again, which is cut somewhere."""
    page = visit(listening)
    page.click("#speech [aria-label='Record audio']")
    page.click("#speech .record-button")
    page.locator("#speech time", has_text="0:01").first.wait_for()
    page.click("#speech .stop-button")
    page.wait_for_selector("#speech a[download]", state="attached")
    page.click("#run")
    page.wait_for_function("() => document.querySelector('#text-out textarea').value.includes('g')")


def test_text_becomes_audio_that_plays(visit: Any, speaking: str) -> None:
    """This page is the recipe's own, as pack_demo put it into a folder."""
    page = visit(speaking)
    assert page.title() == "My own page"
    page.fill("#text textarea", "ace")
    page.click("#run")
    address = page.locator("#sound-out a[download]").get_attribute("href")
    with urlopen(address) as response:
        samples, rate = soundfile.read(io.BytesIO(response.read()))
    assert heard(samples, rate) == "ace"
    played = page.evaluate(
        """async address => {
            const player = new Audio(address);
            const end = new Promise(resolve => player.onended = resolve);
            await player.play();
            await end;
            return player.currentTime;
        }""",
        address,
    )
    assert played == pytest.approx(0.75, abs=0.02)


def test_numbers_and_limits_of_texts(visit: Any, speaking: str) -> None:
    page = visit(speaking)
    page.fill("#text textarea", "abc " * 10)
    assert page.input_value("#text textarea") == "abc " * 5
    page.fill("#text textarea", "ace")
    page.fill("#speed input, #speed textarea", "fast")
    page.click("#run")
    told(page, "speed: 'fast' is not a number.")
    page.fill("#speed input, #speed textarea", "0.5")
    page.click("#run")
    address = page.locator("#sound-out a[download]").get_attribute("href")
    with urlopen(address) as response:
        assert soundfile.info(io.BytesIO(response.read())).duration == 1.5


def test_a_recogniser_as_the_whole_way_shows_it(visit: Any, tmp_path: Path) -> None:
    """The command of docs/from-experiment-to-users.md, with a bundle of espnet3-asr."""
    pytest.importorskip("espnet3_asr", reason="espnet3-asr is not installed")
    text = (ROOT / "docs/from-experiment-to-users.md").read_text("utf-8")
    (words,) = re.findall(r"^espnet3 (demo digits\.zip --port) 7860$", text, re.MULTILINE)
    bundle = ROOT / "plugins/espnet3-asr/tests/bundles/version_1"
    write_archive(bundle, tmp_path / "digits.zip")
    recorded = bundle / "sample/speech.wav"
    expected = espnet3_core.load(bundle, device="cpu")(recorded)
    environment = {**os.environ, "ESPNET3_CACHE": str(tmp_path / "cache")}
    command = ["-m", "espnet3_core", *words.replace("digits.zip", str(tmp_path / "digits.zip")).split(), 0]
    with page(command, environment) as address:
        shown = visit(address)
        choose(shown, recorded)
        shown.click("#run")
        written(shown, expected.text)
        words_shown = shown.locator("#words-out .segment").all_inner_texts()
    assert expected.text
    assert words_shown == [word.word for word in expected.words]
