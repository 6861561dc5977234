"""The application in this process, around models that do what a test needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from espnet3_core.bundle.results import Result
from espnet3_core.errors import UserError
from espnet3_core.fields import FieldDeclaration
from espnet3_serve.app import create_app
from espnet3_serve.keys import Keys
from espnet3_serve.limits import Limits
from espnet3_serve.service import Service
from serving_tools import as_file, letters
from starlette.testclient import TestClient

PATH = "/v1/audio/transcriptions"


class Model:
    """A recogniser that calls a function with each utterance's number of samples."""

    inputs = (FieldDeclaration("speech", "audio"),)
    outputs = (FieldDeclaration("text", "text"),)
    manifest = SimpleNamespace(title="", language=[])
    sample_rate = 8000

    def __init__(self, hear: Callable[[int], str] = str) -> None:
        self.hear = hear

    def batch(self, values: list[Any], *, sample_rate: int, channels: str) -> list[Result]:
        return [Result("", self.hear(len(samples))) for samples in values]


@contextmanager
def client(model: Any = None, keys: list[str] | None = None, **limits: Any) -> Iterator[TestClient]:
    service = Service({"m": model or Model()}, Limits(**limits), Keys(keys or ()))
    with TestClient(create_app(service), raise_server_exceptions=False) as found:
        yield found


def post(found: TestClient, samples: int = 400, **headers: str) -> Any:
    content = as_file(letters("a" * 10)[:samples])
    return found.post(PATH, files={"file": ("a", content)}, data={"model": "m"}, headers=headers)


class Held:
    """A model that waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, samples: int) -> str:
        self.begun.set()
        assert self.go.wait(30)
        return str(samples)


def test_a_full_queue_refuses_with_retry_after_and_recovers():
    held = Held()
    with client(Model(held), queue=2) as found, ThreadPoolExecutor(3) as pool:
        first = pool.submit(post, found)
        assert held.begun.wait(30)
        second = pool.submit(post, found, 320)
        while found.get("/metrics").text.find("espnet3_requests_in_progress 2.0") < 0:
            pass
        refused = post(found)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        held.go.set()
        assert (first.result().json()["text"], second.result().json()["text"]) == ("400", "320")
        assert post(found).status_code == 200


def test_what_takes_too_long_is_given_up_and_its_place_is_free():
    held = Held()
    with client(Model(held), queue=1, timeout=0.2) as found:
        late = post(found)
        assert late.status_code == 503
        assert late.json()["error"] == {
            "message": "the request took longer than 0.2 s; send a shorter one, or try again",
            "type": "timeout_error",
            "param": None,
            "code": "timeout",
        }
        assert "retry-after" in late.headers
        held.go.set()
        while post(found).status_code != 200:
            pass


def test_keys_are_asked_for():
    with client(keys=["first", "sécond"]) as found:
        for path in (PATH, "/v1/audio/speech"):
            assert found.post(path).status_code == 401
        missing = found.get("/v1/models")
        assert (missing.status_code, missing.headers["www-authenticate"]) == (401, "Bearer")
        assert "this server wants a key" in missing.json()["error"]["message"]
        for wrong in (
            "Bearer firs",
            "Bearer first2",
            "Basic first",
            "Bearer",
        ):
            assert found.get("/v1/models", headers={"authorization": wrong}).status_code == 401
        for right in (b"Bearer first", "Bearer sécond".encode()):
            assert found.get("/v1/models", headers={"authorization": right}).status_code == 200
        assert post(found, authorization="Bearer first").status_code == 200
        # What watches a server needs no key.
        assert [found.get(path).status_code for path in ("/health", "/ready", "/metrics")] == [200, 200, 200]


def test_a_model_that_fails_is_a_500_without_its_secrets(caplog):
    def fail(samples: int) -> str:
        raise KeyError("/home/somebody/secret")

    with client(Model(fail)) as found:
        answer = post(found)
        assert answer.status_code == 500
        assert answer.json()["error"]["type"] == "server_error"
        assert "secret" not in answer.text
        assert "/home/somebody/secret" in caplog.text
        assert found.get("/ready").status_code == 200


def test_what_the_model_refuses_is_a_400_with_its_hint():
    def refuse(samples: int) -> str:
        raise UserError("nothing was said", hint="speak up")

    with client(Model(refuse)) as found:
        answer = post(found)
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "nothing was said (speak up)"
        assert answer.json()["error"]["param"] == "file"


def test_neighbours_of_a_broken_request_are_answered():
    def hear(samples: int) -> str:
        if samples == 77:
            raise RuntimeError("broken")
        return str(samples)

    lengths = [100, 77, 101, 102, 77, 103, 104, 105]
    with client(Model(hear), wait=0.05) as found, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda length: post(found, length), lengths))
        assert [answer.status_code for answer in answers] == [500 if n == 77 else 200 for n in lengths]
        assert [answer.json().get("text") for answer in answers] == [
            None if n == 77 else str(n) for n in lengths
        ]


def test_limits_of_bytes_and_seconds():
    with client(bytes=1000, seconds=0.04) as found:
        large = post(found)
        assert post(found, 320).status_code == 200
        assert large.status_code == 400
        assert large.json()["error"]["code"] == "audio_too_long"
        assert "holds 0.1 s" in large.json()["error"]["message"]
    with client(bytes=1000) as found:
        assert post(found, 600).status_code == 413
    with client(bytes=1000) as found:
        # Without a declared length, and far beyond it: nothing of this is kept.
        chunks = (bytes(65536) for _ in range(10))
        kind = "multipart/form-data; boundary=x"
        assert found.post(PATH, content=chunks, headers={"content-type": kind}).status_code == 413


def test_refusals_have_the_form_of_openai():
    with client() as found:
        answers = [
            found.get("/nowhere"),
            found.get(PATH),
            found.post(PATH),
            found.post(PATH, data={"model": "m"}),
            found.post(PATH, files={"file": ("a", b"")}, data={"model": "m"}),
            found.post(PATH, files={"file": ("a", b"x")}, data={}),
            found.post(PATH, content=b"--x", headers={"content-type": "multipart/form-data; boundary=x"}),
            found.post(PATH, content=b"--x", headers={"content-type": "multipart/form-data"}),
            found.post("/v1/audio/speech", content=b'{"model": "m", "input": "a"'),
            found.post("/v1/audio/speech", content=b"[" * 100_000),
            found.post("/v1/audio/speech", content=b'{"model": "\\ud800", "input": "a"}'),
            found.post("/v1/audio/speech", json={"model": "m", "input": "  \n"}),
            found.post("/v1/audio/speech", json={"model": "m", "input": "a", "speed": 9}),
        ]
        assert [answer.status_code for answer in answers] == [404, 405, *[400] * 11]
        for answer in answers:
            assert answer.json()["error"].keys() == {"message", "type", "param", "code"}
            assert answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "charset", ["unicode_escape", "punycode", "idna", "hex", "utf-16", "nonsense", "undefined"]
)
def test_fields_in_odd_encodings(charset):
    field = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n\\ud800\xff\r\n'
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="../../a"\r\n\r\nx\r\n--x--\r\n'
    with client() as found:
        kind = f"multipart/form-data; boundary=x; charset={charset}"
        answer = found.post(PATH, content=field + file, headers={"content-type": kind})
        assert answer.status_code in (400, 404), answer.text


def test_metrics_count_what_happened():
    with client(wait=0.0) as found:
        for samples in (400, 320, 240):
            post(found, samples)
        found.get("/made/up/path")
        text = found.get("/metrics").text
        assert f'espnet3_requests_total{{route="{PATH}",status="200"}} 3.0' in text
        assert 'espnet3_requests_total{route="other",status="404"} 1.0' in text
        assert 'espnet3_batch_size_sum{model="m"} 3.0' in text
        assert 'espnet3_audio_seconds_total{model="m"} 0.12' in text
        assert "process_resident_memory_bytes" in text
