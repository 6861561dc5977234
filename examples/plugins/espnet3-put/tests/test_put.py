"""Against a real server, which the tests start."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from espnet3_core.errors import UserError
from espnet3_core.testing import PluginConformance, PublisherConformance
from espnet3_put.config import PutServerConfig
from espnet3_put.publisher import PutServer


class TestPlugin(PluginConformance):
    """put."""

    namespace = "put"


class TestPutServer(PublisherConformance):
    """put/server."""

    name = "put/server"
    config = {"url": "https://models.example.org/digits"}


class Store(BaseHTTPRequestHandler):
    """Keeps what is put, in order; wants a token if the server has one."""

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refused():
            return
        if self.path in self.server.broken:
            self.server.broken.remove(self.path)
            self.connection.close()
            return
        self.server.files[self.path] = body
        self.server.order.append(self.path)
        self.answer(201)

    def do_HEAD(self):
        if self.refused():
            return
        body = self.server.files.get(self.path)
        self.answer(404) if body is None else self.answer(200, hashlib.sha256(body).hexdigest())

    def refused(self):
        if self.server.token is None or self.headers["Authorization"] == f"Bearer {self.server.token}":
            return False
        self.answer(401)
        return True

    def answer(self, code, etag=None):
        self.send_response(code)
        self.send_header("Content-Length", "0")
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    found = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    found.files, found.order, found.broken, found.token = {}, [], [], None
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(range(256)))
    (folder / "tokenizer/my tokens.txt").write_text("a\n")
    return folder


def publisher(server):
    return PutServer(PutServerConfig(url=f"http://127.0.0.1:{server.server_port}/models/digits/"))


def test_every_file_arrives_the_manifest_last(server, bundle):
    address = publisher(server).publish(bundle)
    assert address.endswith("/models/digits/manifest.json")
    assert server.files["/models/digits/model.safetensors"] == bytes(range(256))
    assert server.files["/models/digits/tokenizer/my%20tokens.txt"] == b"a\n"
    assert server.order[-1] == "/models/digits/manifest.json" and len(server.order) == 3


def test_what_is_there_is_not_sent_again(server, bundle):
    publisher(server).publish(bundle)
    (bundle / "manifest.json").write_text("{} ")
    publisher(server).publish(bundle)
    assert server.order[3:] == ["/models/digits/manifest.json"]


def test_an_upload_that_broke_off_is_finished_by_the_same_command(server, bundle):
    server.broken = ["/models/digits/tokenizer/my%20tokens.txt"]
    with pytest.raises(UserError, match="cannot be reached"):
        publisher(server).publish(bundle)
    assert "/models/digits/manifest.json" not in server.files
    publisher(server).publish(bundle)
    assert len(server.order) == len(set(server.order)) == 3


def test_a_refusal_says_what_to_do_and_the_token_is_in_no_message(server, bundle, monkeypatch, caplog):
    server.token = "right"
    monkeypatch.setenv("PUT_TOKEN", "wrong-secret")
    with pytest.raises(UserError, match="401") as refused:
        publisher(server).publish(bundle)
    assert "PUT_TOKEN" in refused.value.hint
    monkeypatch.setenv("PUT_TOKEN", "right")
    publisher(server).publish(bundle)
    assert len(server.files) == 3
    assert "secret" not in caplog.text + str(refused.value)


def test_a_server_that_is_not_there(bundle):
    with pytest.raises(UserError, match="cannot be reached"):
        PutServer(PutServerConfig(url="http://127.0.0.1:9/x", timeout=2)).publish(bundle)
