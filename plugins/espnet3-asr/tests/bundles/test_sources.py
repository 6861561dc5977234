"""Folders, archives and addresses: fetched once, pinned, and usable without a network afterwards."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from espnet3_core import load
from espnet3_core.bundle.archive import write_archive
from espnet3_core.bundle.limits import Limits
from espnet3_core.catalog import current_catalog, use_catalog
from espnet3_core.cli.main import main
from espnet3_core.errors import UserError
from espnet3_core.hookspecs import hookimpl

GOOD = Path(__file__).parent / "version_1"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "bundles"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real server of a folder: its address and the folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    server.server_close()


def test_an_address_is_fetched_once_and_works_offline(
    site: tuple[str, Path], cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, folder = site
    write_archive(GOOD, folder / "b.zip")
    digest = hashlib.sha256((folder / "b.zip").read_bytes()).hexdigest()
    source = f"{address}/b.zip#sha256={digest}"
    assert main(["fetch", source]) == 0
    assert capsys.readouterr().out.strip() == str(cache / digest)
    (folder / "b.zip").unlink()
    assert load(source, device="cpu")(GOOD / "sample/speech.wav").text == "rrtrhr"
    assert sorted(path.name for path in cache.iterdir()) == [digest]


def test_addresses_must_say_which_bytes_and_keep_their_word(site: tuple[str, Path], cache: Path) -> None:
    address, folder = site
    write_archive(GOOD, folder / "b.zip")
    with pytest.raises(UserError, match="which bytes are meant is not said"):
        load(f"{address}/b.zip")
    with pytest.raises(UserError, match="sha256"):
        load(f"{address}/b.zip#sha256={'0' * 64}")
    assert not [path for path in cache.glob("*") if path.is_dir()]


def test_archives_made_by_people_open_and_are_unpacked_once(tmp_path: Path, cache: Path) -> None:
    shutil.copytree(GOOD, tmp_path / "x" / "my model")
    archive = Path(shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path / "x"))
    assert load(archive, device="cpu").manifest.title == "Tiny"
    (kept,) = cache.iterdir()
    stamp = (kept / "model.safetensors").stat().st_mtime_ns
    load(archive, device="cpu")
    assert (kept / "model.safetensors").stat().st_mtime_ns == stamp
    (kept / "tokenizer/tokens.txt").write_text("changed")
    with pytest.raises(UserError, match=r"tokens\.txt has 7 bytes"):
        load(archive, device="cpu")


def test_limits_can_be_moved(tmp_path: Path) -> None:
    write_archive(GOOD, tmp_path / "b.tar.gz")
    with pytest.raises(UserError, match="it unpacks to more than 1000 bytes"):
        load(tmp_path / "b.tar.gz", limits=Limits(bytes=1000))
    with pytest.raises(UserError, match="more than 1000 bytes"):
        load(GOOD, limits=Limits(bytes=1000))
    with pytest.raises(UserError, match="deeper than 0 folders"):
        load(GOOD, limits=Limits(depth=0))


class _Hub:
    """A plugin that serves ``hub://`` addresses from a folder, and counts how often it is asked."""

    asked = 0
    spoil = False

    @hookimpl
    def espnet3_fetch_bundle(self, uri: str, directory: Path) -> bool | None:
        if not uri.startswith("hub://"):
            return None
        if "@" not in uri:
            raise UserError(f"{uri}: no revision is said")
        self.asked += 1
        shutil.copytree(GOOD, directory, dirs_exist_ok=True)
        if self.spoil:
            (directory / "evil.py").write_text("")
        return True


def test_plugins_bring_bundles_from_their_addresses(cache: Path) -> None:
    hub = _Hub()
    with use_catalog(current_catalog().with_plugin("hub", hub)):
        hub.spoil = True
        with pytest.raises(UserError, match="of a kind that bundles do not hold"):
            load("hub://org/name@v1", device="cpu")
        assert not [path for path in cache.iterdir() if path.is_dir()]
        hub.spoil = False
        for _ in range(2):
            assert load("hub://org/name@v1", device="cpu").manifest.title == "Tiny"
        assert hub.asked == 2
        with pytest.raises(UserError, match="no revision is said"):
            load("hub://org/name", device="cpu")
    assert load("hub://org/name@v1", device="cpu").manifest.title == "Tiny"
    with pytest.raises(UserError, match="no installed plugin fetches bundles from gs:// addresses") as caught:
        load("gs://org/name@v1")
    assert caught.value.hint.startswith("pip install espnet3-")


def test_a_recording_in_pieces_gives_the_text_of_the_whole() -> None:
    import soundfile

    samples, rate = soundfile.read(GOOD / "sample/speech.wav", dtype="float32")
    model = load(GOOD, device="cpu")
    with model.stream(sample_rate=rate) as stream:
        for piece in np.array_split(samples, 7):
            assert stream.accept(piece) is None
        assert stream.seconds == pytest.approx(1.0)
        result = stream.finish()
    whole = model(GOOD / "sample/speech.wav")
    assert (result.text, result.times, result.score) == (whole.text, whole.times, whole.score)
    assert len(whole.times) == len(whole.tokens) > 0
    assert model.stream().finish().text == ""
