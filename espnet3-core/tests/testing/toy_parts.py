"""Parts that are right, or have one fault that is asked for; without torch, as workers import them."""

import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from espnet3_core.errors import UserError
from espnet3_core.infer.config import ProcessesConfig
from espnet3_core.infer.executors import Processes, WorkerLost
from espnet3_core.measure.metric import Metric, Ratio


@dataclass(kw_only=True)
class Fault:
    """What is wrong."""

    fault: str = ""
    """Name of the fault; empty for none."""


class Part:
    """Keeps its fault."""

    def __init__(self, config: Fault, **_: Any) -> None:
        self.fault = config.fault
        self.here = os.getpid()
        if self.fault == "lambda":
            self.function = lambda: None


class Dataset(Part):
    def __len__(self) -> int:
        return 0 if self.fault == "empty" else 5

    def ids(self) -> list[str]:
        names = [f"u{index}" for index in range(len(self))]
        return names[::-1] if self.fault == "ids" else names

    def lengths(self) -> list[float]:
        return [400.0 * (index + 1) / (1 if self.fault == "lengths" else 8000) for index in range(len(self))]

    def describe(self, index: int) -> dict[str, Any]:
        return {"id": f"u{index}", "text": "other" if self.fault == "describe" else f"text {index}"}

    def __getitem__(self, index: int) -> dict[str, Any]:
        speech = np.full(400 * (index + 1), 0.1, np.float32)
        if self.fault == "random":
            speech = speech + np.float32(random.random())
        if self.fault == "process" and os.getpid() != self.here:
            speech = speech * 2
        name = "u0" if self.fault == "twice" else f"u{index}"
        item = {"id": name, "speech": speech, "text": f"text {index}"}
        return {"speech": speech} if self.fault == "no_id" else item


class Tokenizer(Part):
    blank_id, unk_id = 0, 1

    def train(self, texts: Any) -> None:
        if self.fault == "hopeless":
            raise UserError("too few texts")
        letters = {letter for text in texts for letter in text}
        ordered = sorted(letters, key=lambda _: random.random()) if self.fault == "order" else sorted(letters)
        self.tokens = ["<blank>", "<unk>", *ordered, "<end>"]
        if self.fault == "duplicate":
            self.tokens[2] = self.tokens[3]

    @property
    def sos_id(self) -> int:
        return len(self.tokens) - (2 if self.fault == "end" else 1)

    eos_id = sos_id

    def __len__(self) -> int:
        return len(self.tokens)

    def save(self, directory: Path) -> None:
        tokens = self.tokens[:-2] if self.fault == "save" else self.tokens
        (directory / "tokens").write_text("\n".join(tokens))

    def load(self, directory: Path) -> None:
        self.tokens = (directory / "tokens").read_text().split("\n")

    def encode(self, text: str) -> list[int]:
        if self.fault == "strict":
            return [self.tokens.index(letter) for letter in text]
        ids = [
            self.tokens.index(letter) if letter in self.tokens else self.unk_id
            for letter in text
            if letter in self.tokens or self.fault != "vanish"
        ]
        if self.fault == "blank":
            return [0, *ids]
        return ids or ([self.unk_id] if self.fault == "nothing" else [])

    def decode(self, ids: Any) -> str:
        special = () if self.fault == "special" else (0, self.unk_id, len(self.tokens) - 1)
        text = "".join(self.tokens[index] for index in ids if index not in special)
        return text[:-1] if self.fault == "lossy" else text


class Transform(Part):
    calls = 0

    def __call__(self, item: Any, rng: Any) -> Any:
        self.calls += 1
        draw = np.random.random() if self.fault == "global" else rng.random()
        if self.fault == "moves":
            random.random()
        if self.fault == "count":
            draw = draw + self.calls
        if self.fault == "process" and os.getpid() != self.here:
            draw = 0
        speech = item["speech"]
        if self.fault == "mutates":
            speech *= np.float32(draw)
            return item
        speech = (speech * draw).astype(np.float64 if self.fault == "float64" else np.float32)
        if self.fault == "infinite":
            speech[0] = np.inf
        changed = {**item, "speech": speech}
        if self.fault == "text":
            changed["text"] = None
        return {**changed, "id": "other"} if self.fault == "id" else changed


class Mean(Metric):
    """The mean of a number."""

    inputs = {"number": "number"}
    on_failure = {"number": 0.0}

    def __init__(self, config: Fault) -> None:
        super().__init__(config)
        self.fault = config.fault
        self.seen: list[tuple[str, float]] = []
        if self.fault == "inputs":
            self.inputs = {"value": "number"}  # type: ignore[misc]
        if self.fault == "on_failure":
            self.on_failure = {"other": 0.0}  # type: ignore[misc]

    def update(self, ids: Any, **values: Any) -> None:
        numbers = values.get("number", [0.0] * len(ids)) if self.fault == "missing" else values["number"]
        self.seen += list(zip(ids, numbers, strict=self.fault not in ("missing", "few")))

    def merge(self, other: Any) -> None:
        self.seen = other.seen if self.fault == "merge" else self.seen + other.seen

    def compute(self) -> dict[str, Any]:
        numbers = [number for _, number in self.seen]
        if not numbers and self.fault != "empty":
            return {"mean": float("nan") if self.fault == "nan" else None}
        mean = sum(numbers) / len(numbers)
        if self.fault == "order":
            mean += numbers[0]
        return {"mean": mean + 1 if self.fault == "wrong" else mean}

    def per_utterance(self) -> list[dict[str, Any]]:
        factor = 2 if self.fault == "ratio" else 1
        found = [{"id": name, "number": factor * number} for name, number in self.seen]
        return found[1:] if self.fault == "records" else found

    def ratio(self) -> Ratio:
        return Ratio(numerator="number")


class Publisher(Part):
    def publish(self, bundle: Path, *, dry_run: bool = False) -> Any:
        if self.fault == "network":
            try:
                socket.create_connection(("localhost", 9))
            except Exception:
                return "somewhere"
        if self.fault == "writes":
            (bundle / "sent").write_text("yes")
        return None if self.fault == "address" else "somewhere"


class Executor(Part):
    """A pool of processes whose outcomes are tampered with."""

    def run(self, setup: Any, shards: Any) -> Any:
        if self.fault == "no_work" and not shards:
            yield 0, []
        pool = Processes(ProcessesConfig(workers=2))
        try:
            outcomes = dict(pool.run(setup, shards))
        except UserError as error:
            if self.fault == "swallows":
                return
            raise (RuntimeError(str(error)) if self.fault == "kind" else error) from None
        if self.fault == "missing":
            outcomes.pop(0)
        if self.fault == "greedy" and any(isinstance(found, WorkerLost) for found in outcomes.values()):
            outcomes[0] = WorkerLost("with the other")
        for number, found in outcomes.items():
            yield number, found[::-1] if self.fault == "order" else found
            if self.fault == "twice":
                yield number, found


class Letter(Part):
    """A kind of value: one letter."""

    def check(self, value: Any, options: Any) -> None:
        right = isinstance(value, str) and len(value) == 1
        if self.fault == "strict" or (not right and self.fault != "lenient"):
            raise UserError(f"{value!r} is no letter")
