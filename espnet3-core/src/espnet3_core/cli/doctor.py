"""``espnet3 doctor``: what is installed and whether it works."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from espnet3_core.catalog import installed_catalog
from espnet3_core.cli.plugin import table
from espnet3_core.discovery import distribution_version
from espnet3_core.plugin_states import plugin_states

LOW_DISK_BYTES = 2 * 1024**3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 doctor --json"
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the report; the exit code is 2 when something needs mending."""
    report = examine()
    print(json.dumps(report, indent=2) if args.json else as_text(report))
    return 2 if report["problems"] else 0


def examine() -> dict[str, Any]:
    """Everything that the report shows, as JSON values."""
    catalog = installed_catalog()
    report: dict[str, Any] = {
        "python": {
            "version": platform.python_version(),
            "executable": sys.executable,
            "platform": platform.platform(),
        },
        "plugins": [state.as_json() for state in plugin_states(catalog)],
        "failures": [
            {
                "namespace": failure.entry.namespace,
                "distribution": failure.entry.distribution,
                "version": failure.entry.version,
                "step": failure.step,
                "error": failure.error,
                "hint": failure.hint,
                "trace": failure.trace,
            }
            for failure in catalog.failures
        ],
        "libraries": {
            name: distribution_version(name) for name in ("torch", "lightning", "hydra-core", "numpy")
        },
        "torch": _torch(),
        "codecs": _codecs(),
        "disk": _disk(),
    }
    report["problems"] = problems(report)
    return report


def _torch() -> dict[str, Any]:
    if find_spec("torch") is None:
        return {"error": "not installed"}
    try:
        import torch
    except Exception as error:  # a torch that does not load is what a doctor is asked about
        return {"error": f"{type(error).__name__}: {error}"}
    cuda = torch.cuda.is_available()
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
        "devices": ["cpu"]
        + [
            f"cuda:{i} {torch.cuda.get_device_name(i)}"
            for i in range(torch.cuda.device_count() if cuda else 0)
        ]
        + (["mps"] if torch.backends.mps.is_available() else []),
        "bf16": bool(cuda and torch.cuda.is_bf16_supported()),
    }


def _codecs() -> dict[str, Any]:
    try:
        import soundfile
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    formats = soundfile.available_formats()
    wanted = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}
    return {
        "libsndfile": soundfile.__libsndfile_version__,
        **{name: key in formats for name, key in wanted.items()},
        "sphere": True,
        "soxr": find_spec("soxr") is not None,
    }


def _disk() -> dict[str, Any]:
    here = Path.cwd()
    usage = shutil.disk_usage(here)
    return {"path": str(here), "free_bytes": usage.free, "writable": os.access(here, os.W_OK)}


def problems(report: Mapping[str, Any]) -> list[str]:
    """What needs mending, one line each."""
    found = [
        f"plugin {failure['namespace']} ({failure['distribution']} {failure['version']}): "
        f"{failure['step']}: {failure['error']}" + (f" -> {failure['hint']}" if failure["hint"] else "")
        for failure in report["failures"]
    ]
    for part in ("torch", "codecs"):
        if "error" in report[part]:
            package = "torch" if part == "torch" else "soundfile"
            found.append(f"{part}: {report[part]['error']} -> pip install {package}")
    found += [
        f"no {name} support in libsndfile" for name, works in report["codecs"].items() if works is False
    ]
    if not report["disk"]["writable"]:
        found.append(f"{report['disk']['path']} cannot be written to")
    if report["disk"]["free_bytes"] < LOW_DISK_BYTES:
        found.append(f"only {report['disk']['free_bytes'] / 1e9:.1f} GB are free in {report['disk']['path']}")
    return found


def as_text(report: Mapping[str, Any]) -> str:
    """The report for people."""
    python, torch, codecs, disk = (report[key] for key in ("python", "torch", "codecs", "disk"))
    lines = [f"python    {python['version']}  {python['executable']}", f"platform  {python['platform']}"]
    if "error" in torch:
        lines.append(f"torch     {torch['error']}")
    else:
        build = f"CUDA {torch['cuda']}" if torch["cuda"] else "CPU build"
        lines.append(f"torch     {torch['version']}  {build}  devices: {', '.join(torch['devices'])}")
    libraries = (
        f"{name} {version or 'missing'}" for name, version in report["libraries"].items() if name != "torch"
    )
    lines.append(f"libraries {'  '.join(libraries)}")
    lines.append(
        "codecs    "
        + "  ".join(f"{k} {v if isinstance(v, str) else 'yes' if v else 'no'}" for k, v in codecs.items())
    )
    lines.append(f"disk      {disk['free_bytes'] / 1e9:.1f} GB free in {disk['path']}")
    lines += ["", "plugins"]
    lines += [f"  {line}" for line in table(report["plugins"])]
    for failure in report["failures"]:
        lines += [
            "",
            f"failed: {failure['namespace']} ({failure['distribution']} {failure['version']})",
            failure["trace"].rstrip(),
        ]
    lines += ["", "problems" if report["problems"] else "no problems found"]
    lines += [f"  {problem}" for problem in report["problems"]]
    return "\n".join(lines)
