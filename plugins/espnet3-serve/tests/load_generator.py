"""Clients of a server, as a process of its own: they send files and compare what comes back.

usage: load_generator.py PORT MODEL CASES CLIENTS SECONDS|COUNTx

CASES is a JSON file: a list of [path, expected text]. Every client begins at another case and takes its next
one only when it has its answer. Prints a JSON object: answers, errors, crossed, seconds, latencies.
"""

from __future__ import annotations

import http.client
import itertools
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

BOUNDARY = "0f1e2d3c4b5a"


def form(content: bytes, model: str) -> bytes:
    """A form with a file and the model's name."""
    fields = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return f"{fields}{head}".encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


class Client(threading.Thread):
    """Sends requests one after the other over one connection."""

    def __init__(self, port: int, cases: list[tuple[bytes, str]], first: int, requests: Any) -> None:
        super().__init__()
        self.port, self.cases, self.first, self.requests = port, cases, first, requests
        self.latencies: list[float] = []
        self.problems: list[str] = []
        self.crossed: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        for number, _ in enumerate(self.requests, self.first):
            body, expected = self.cases[number % len(self.cases)]
            began = time.perf_counter()
            try:
                connection.request("POST", "/v1/audio/transcriptions", body, headers)
                response = connection.getresponse()
                content = response.read()
            except OSError as error:
                self.problems.append(repr(error))
                continue
            self.latencies.append(time.perf_counter() - began)
            if response.status != 200:
                self.problems.append(f"{response.status} {content[:200]!r}")
            elif (text := json.loads(content)["text"]) != expected:
                self.crossed.append(f"{expected!r} came as {text!r}")


def main(port: int, model: str, path: str, count: int, amount: str) -> None:
    """Run the clients and print what they saw."""
    cases = [
        (form(Path(file).read_bytes(), model), text) for file, text in json.loads(Path(path).read_text())
    ]
    if amount.endswith("x"):
        shares: list[Any] = [range(int(amount[:-1]) // count) for _ in range(count)]
    else:
        end = time.perf_counter() + float(amount)
        shares = [
            itertools.takewhile(lambda _: time.perf_counter() < end, itertools.count()) for _ in range(count)
        ]
    clients = [
        Client(port, cases, number * max(1, len(cases) // count), share)
        for number, share in enumerate(shares)
    ]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    seen = {
        "answers": sum(len(client.latencies) for client in clients),
        "errors": [problem for client in clients for problem in client.problems],
        "crossed": [pair for client in clients for pair in client.crossed],
        "seconds": time.perf_counter() - began,
        "latencies": [latency for client in clients for latency in client.latencies],
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
