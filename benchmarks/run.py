"""Runs rows of the table of benchmarks: ours and the peers alternating, each in a process of its own.

``python benchmarks/run.py ROW… [--threads 2] [--repeats 5] [--only ours]`` prints a table for each row and
writes ``build/benchmarks/ROW.json``. Peers are looked for under ``$PEERS`` (``benchmarks/setup_peers.sh``
builds them); what is absent is left out, and said to be.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import processes  # noqa: E402
from work import Case, Row  # noqa: E402

ROWS = (
    "train_step", "tts_step", "decode", "loading", "log_mel", "error_rate", "collect_stats", "padding",
    "launch", "infer",
)  # fmt: skip
ENVIRONMENTS = {"espnet": "espnet", "torchaudio": "espnet", "jiwer": "espnet"}
"""Folder under ``$PEERS`` of a side's environment, where it is not ``others``."""


def interpreter(side: str) -> Path | None:
    """The Python that a side runs in; None where it is not installed."""
    if side == "ours":
        return Path(sys.executable)
    peers = os.environ.get("PEERS")
    path = Path(peers or "peers").resolve() / ENVIRONMENTS.get(side, "others") / "bin/python"
    return path if path.exists() else None


def measure(row: str, case: Case, sides: Sequence[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Times of every side, alternating, and what goes with them."""
    repeats = case.repeats if arguments.repeats is None or not case.repeats else arguments.repeats
    with tempfile.TemporaryDirectory() as exchange:
        setting = {"folder": str(arguments.data), "exchange": exchange, "threads": arguments.threads}
        running: dict[str, processes.Side] = {}
        try:
            for side in sides:
                python = interpreter(side)
                assert python is not None
                command = [str(python), str(HERE / "side.py"), row, side, case.name, json.dumps(setting)]
                running[side] = processes.Side(command, arguments.threads, ours=side == "ours")
            ours = running.get("ours")
            machine = [ours.ask("matmul")] if ours else []
            runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
            for number in range(repeats + 1):
                for side, process in running.items():
                    found = process.timed()
                    if number or not repeats:  # the first one warms up
                        runs[side].append(found)
            machine += [ours.ask("matmul")] if ours else []
            values = {side: found[-1]["value"] for side, found in runs.items() if found}
            verdict = ours.ask(f"judge {json.dumps(values)}") if ours and len(values) > 1 else None
            return {
                "case": case.name,
                "bar": case.bar,
                "matmul_gflops": machine,
                "sides": {
                    side: summary(process, runs[side]) for side, process in running.items() if runs[side]
                },
                **({"check": verdict} if verdict else {}),
            }
        finally:
            for process in running.values():
                process.close()


def summary(process: processes.Side, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """One side's figures."""
    seconds = [run["seconds"] for run in runs]
    middle = statistics.median(seconds)
    found: dict[str, Any] = {
        **process.facts,
        "median_s": middle,
        "all_s": seconds,
        "cpu_s": statistics.median(run["cpu_s"] for run in runs),
        "others_cores": [run["others_cores"] for run in runs],
        "peak_mib": process.peak_mib(),
    }
    if process.facts.get("amount"):
        found["rate"] = process.facts["amount"] / middle
    values = [run["value"] for run in runs if run["value"] is not None]
    return {**found, "value": values[-1]} if values else found


def compare(record: dict[str, Any], row: Row) -> None:
    """Add ratios to the best peer, and whether the bars are met."""
    sides: dict[str, Any] = record["sides"]
    ours = sides.get("ours")
    values = {side: facts["value"] for side, facts in sides.items() if "value" in facts}
    checked = row.check(record["case"], values) if row.check else None
    if checked is not None:
        record["check"] = checked
    peers = {side: facts for side, facts in sides.items() if side != "ours"}
    if ours is None or not peers:
        return
    best = min(peers, key=lambda side: peers[side]["median_s"])
    # Each run beside the one that followed it: what slows the machine down for a while slows both.
    ratios = [a / b for a, b in zip(ours["all_s"], peers[best]["all_s"], strict=True)]
    record |= {"best_peer": best, "ratio": statistics.median(ratios), "ratios": ratios}
    if record["bar"] is not None:
        record["met"] = record["ratio"] <= record["bar"]
    if row.memory_bar is not None and record["bar"] is not None:
        share = ours["peak_mib"] / min(facts["peak_mib"] for facts in peers.values())
        record |= {"memory_ratio": share, "memory_met": share <= row.memory_bar}


def lines(record: Mapping[str, Any]) -> list[str]:
    """A case as lines of text."""
    gflops = "/".join(f"{value:.0f}" for value in record["matmul_gflops"])
    shown = [f"  {record['case']}" + (f"   (machine: {gflops} GFLOP/s in matrix products)" if gflops else "")]
    for side, facts in record["sides"].items():
        rate = f"  {facts['rate']:12,.1f} {facts['unit']}/s" if "rate" in facts else ""
        shown.append(
            f"    {side:12} {facts['median_s']:9.4f} s  cpu {facts['cpu_s']:8.3f} s  "
            f"others {max(facts['others_cores']):.1f} cores  peak {facts['peak_mib']:6.0f} MiB{rate}"
        )
    if "ratio" in record:
        bar = "" if record["bar"] is None else f", bar {record['bar']:g}: {_word(record['met'])}"
        spread = f"{min(record['ratios']):.3f} to {max(record['ratios']):.3f}"
        shown.append(f"    time of ours / {record['best_peer']}: {record['ratio']:.3f} ({spread}){bar}")
    if "memory_ratio" in record:
        verdict = _word(record["memory_met"])
        shown.append(f"    memory of ours / peer: {record['memory_ratio']:.2f}: {verdict}")
    if "check" in record:
        facts = {key: value for key, value in record["check"].items() if key != "ok"}
        words = [
            f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in facts.items()
        ]
        shown.append(f"    {', '.join(words)}: {_word(record['check']['ok'])}")
    return shown


def _word(met: bool) -> str:
    return "met" if met else "MISSED"


def run(name: str, arguments: argparse.Namespace) -> bool:
    """Run a row, print and write it; whether every bar that could be looked at is met."""
    row: Row = importlib.import_module(f"rows.{name}").ROW
    print(f"{name}: {row.title}", flush=True)
    wanted = arguments.only or list(row.sides)
    absent = [side for side in row.sides if side in wanted and interpreter(side) is None]
    if absent:
        print(f"  left out, not installed under $PEERS: {', '.join(absent)}", flush=True)
    records = []
    for case in row.cases:
        sides = [
            side
            for side in row.sides
            if side in wanted and side not in absent and side in (case.sides or row.sides)
        ]
        record = measure(name, case, sides, arguments)
        compare(record, row)
        print("\n".join(lines(record)), flush=True)
        records.append(record)
    document = {"row": name, "title": row.title, "threads": arguments.threads, **machine(), "cases": records}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    verdicts = [record.get(key, True) for record in records for key in ("met", "memory_met")]
    return all(verdicts) and all(record.get("check", {"ok": True})["ok"] for record in records)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def main() -> None:
    """Run the rows named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(ROWS)}; none for all")
    parser.add_argument("--threads", type=int, default=2, help="of each process (default 2)")
    parser.add_argument("--repeats", type=int, help="timed runs of each side")
    parser.add_argument("--only", nargs="+", metavar="SIDE", help="sides to run: ours, espnet …")
    parser.add_argument("--data", type=Path, default=HERE.parent / "build/benchmarks/data")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build/benchmarks")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    arguments.data.mkdir(parents=True, exist_ok=True)
    results = [run(name, arguments) for name in arguments.rows or ROWS]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
