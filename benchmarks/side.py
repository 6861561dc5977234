"""One side of a case in a process of its own: prepares the work, then repeats it whenever a line comes in.

``python side.py ROW SIDE CASE SETTING``; started by ``run.py``, which alternates between such processes.
Each line read is a command (``run``, ``matmul``, ``judge VALUES``); each answer is a line of JSON on the
original stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from work import Setting, Work  # noqa: E402


def matmul_gflops(size: int = 1536, repeats: int = 4) -> float:
    """Best rate of a float32 matrix product, in 1e9 operations per second: this machine's limit."""
    import torch

    a, b = torch.randn(size, size), torch.randn(size, size)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return round(2e-9 * size**3 / best, 1)


def timed(work: Work) -> dict[str, Any]:
    """Seconds of one run, and what it returned."""
    start = time.perf_counter()
    value = work.run()
    return {"seconds": time.perf_counter() - start, "value": value}


def main() -> None:
    """Answer commands until there are none."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a peer prints must not mix with the answers
    row, side, case, setting = sys.argv[1:]
    facts = json.loads(setting)
    paths = {key: Path(facts[key]) for key in ("folder", "exchange")}
    found = importlib.import_module(f"rows.{row}").ROW
    work = found.sides[side](case, Setting(**paths, threads=facts["threads"]))
    print(json.dumps({"amount": work.amount, "unit": work.unit, **work.facts}), file=answers, flush=True)
    for line in sys.stdin:
        command, _, values = line.strip().partition(" ")
        answer: Any
        if command == "judge":
            answer = work.judge(json.loads(values)) if work.judge else None
        else:
            answer = matmul_gflops() if command == "matmul" else timed(work)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
