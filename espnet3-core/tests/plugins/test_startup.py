"""Listing and showing components must not cost what training costs."""

import json
import resource
import subprocess
import sys

import pytest

HEAVY = ["torch", "lightning", "hydra", "omegaconf", "pydantic", "numpy"]
CODE = f"""
import json, sys
from espnet3_core.cli.main import main
code = main(json.loads(sys.argv[1]))
print(json.dumps({{"code": code, "heavy": [m for m in {HEAVY} if m in sys.modules]}}), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "model"], ["show", "core/manifest"]])
def test_nothing_heavy_is_imported(arguments):
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(arguments)], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stderr.splitlines()[-1]) == {"code": 0, "heavy": []}


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["show", "core/manifest"]])
def test_within_three_tenths_of_a_second_of_cpu(arguments):
    def cpu() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "espnet3_core", *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu() for _ in range(3)) < 0.3


@pytest.mark.parametrize(
    "module",
    [
        "names",
        "specs",
        "hookspecs",
        "discovery",
        "manager",
        "catalog",
        "_plugin",
        "cli.main",
        "cli.list",
        "cli.show",
    ],
)
def test_start_up_modules_are_light(module):
    code = f"import sys, espnet3_core.{module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
