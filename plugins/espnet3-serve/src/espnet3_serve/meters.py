"""What ``/metrics`` tells, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Meters:
    """Counters of one server.

    Attributes:
        requests: Requests, by route and status.
        seconds: Time to the last byte of an answer, by route.
        batches: Items computed together, by model.
        audio: Seconds of audio taken or given, by model.
        working: Requests that are worked on or wait.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "espnet3_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "espnet3_request_seconds", "Time to the last byte of an answer.", ["route"],
            buckets=SECONDS, registry=self._registry,
        )  # fmt: skip
        self.batches = Histogram(
            "espnet3_batch_size",
            "Items computed together.",
            ["model"],
            buckets=SIZES,
            registry=self._registry,
        )
        self.audio = Counter(
            "espnet3_audio_seconds", "Seconds of audio taken or given.", ["model"], registry=self._registry
        )
        self.working = Gauge(
            "espnet3_requests_in_progress", "Requests worked on or waiting.", registry=self._registry
        )

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
