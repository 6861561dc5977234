from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from espnet3_core.data.download import download
from espnet3_core.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)
SUM = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A real HTTP server that breaks connections off on demand."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.tag = '"v1"'
        self.ranges = True
        self.break_after: list[int] = []
        self.statuses: list[int] = []
        self.seen: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/corpus.tar"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.seen.append(wanted)
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        match = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        start = int(match[1]) if match and self.ranges and request.headers["If-Range"] == self.tag else 0
        if start >= len(self.content):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.content)}")
            request.end_headers()
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        request.send_header("Content-Length", str(len(body)))
        request.send_header("ETag", self.tag)
        request.end_headers()
        if self.break_after:
            body = body[: self.break_after.pop(0)]
            request.close_connection = True
        request.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.http.shutdown()
    one.http.server_close()


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_download_is_verified_and_not_repeated(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    path = download(
        server.url, tmp_path / "c/a.tar", sha256=SUM, progress=lambda have, total: told.append((have, total))
    )
    assert path.read_bytes() == CONTENT
    assert told[-1] == (300_000, 300_000)
    assert leftovers(path.parent) == ["a.tar"]
    download(server.url, path, sha256=SUM)
    assert len(server.seen) == 1


def test_a_dropped_connection_is_continued_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000, 50_000]
    path = download(server.url, tmp_path / "a.tar", sha256=SUM, backoff=0)
    assert path.read_bytes() == CONTENT
    assert server.seen == [None, "bytes=100000-", "bytes=150000-"]


def test_the_next_call_continues_too(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000]
    with pytest.raises(UserError, match="broke off after 100000 of 300000 bytes"):
        download(server.url, tmp_path / "a.tar", retries=0)
    assert not (tmp_path / "a.tar").exists()
    assert download(server.url, tmp_path / "a.tar", sha256=SUM).read_bytes() == CONTENT
    assert server.seen[1] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000]
    with pytest.raises(UserError):
        download(server.url, tmp_path / "a.tar", retries=0)
    server.content, server.tag = CONTENT[::-1], '"v2"'
    assert download(server.url, tmp_path / "a.tar").read_bytes() == CONTENT[::-1]


def test_servers_without_ranges_start_again(server: Server, tmp_path: Path) -> None:
    server.ranges, server.break_after = False, [100_000]
    assert download(server.url, tmp_path / "a.tar", sha256=SUM, backoff=0).read_bytes() == CONTENT


def test_a_complete_part_is_accepted(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000]
    with pytest.raises(UserError):
        download(server.url, tmp_path / "a.tar", retries=0)
    (tmp_path / "a.tar.part").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "a.tar", sha256=SUM).read_bytes() == CONTENT


def test_busy_servers_are_asked_again_missing_files_not(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    assert download(server.url, tmp_path / "a.tar", sha256=SUM, backoff=0).read_bytes() == CONTENT
    server.statuses = [404]
    with pytest.raises(UserError, match=r"corpus\.tar cannot be downloaded: Not Found") as caught:
        download(server.url, tmp_path / "b.tar")
    assert f"save it as {tmp_path}/b.tar" in str(caught.value)
    assert len(server.seen) == 4


def test_a_wrong_checksum_deletes_the_download(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the download a\.tar is damaged or another version: sha256"):
        download(server.url, tmp_path / "a.tar", sha256="0" * 64)
    assert leftovers(tmp_path) == []
    (tmp_path / "a.tar").write_bytes(b"old")
    with pytest.raises(UserError, match=r"a\.tar is damaged"):
        download(server.url, tmp_path / "a.tar", sha256=SUM)


def test_no_connection_is_an_error_after_the_retries(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be downloaded: no connection"):
        download("http://127.0.0.1:9/a", tmp_path / "a", retries=1, backoff=0)
    with pytest.raises(UserError, match="cannot be downloaded"):
        download("nonsense", tmp_path / "a")


def test_file_addresses(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    path = download((tmp_path / "source").as_uri(), tmp_path / "copy", sha256=SUM)
    assert path.read_bytes() == CONTENT
    with pytest.raises(UserError, match="cannot be downloaded"):
        download((tmp_path / "none").as_uri(), tmp_path / "other")
