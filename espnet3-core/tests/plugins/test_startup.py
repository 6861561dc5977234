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


@pytest.mark.parametrize(
    "arguments", [["--help"], ["list"], ["list", "model"], ["show", "core/manifest"], ["plugin", "list"]]
)
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
        "plugin_states",
        "cli.list",
        "cli.plugin",
        "cli.show",
    ],
)
def test_start_up_modules_are_light(module):
    code = f"import sys, espnet3_core.{module}; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_thirty_plugins_with_a_thousand_components_are_listed_in_half_a_second_of_cpu(plugins):
    kinds = [("datasets", "DatasetSpec"), ("models", "ModelSpec"), ("metrics", "MetricSpec")]
    for plugin in range(30):
        hooks = [
            f"@hookimpl\ndef espnet3_{hook}():\n    for i in range(12):\n        yield {spec}("
            f"name=f'many{plugin}/part{{i}}', target='x:Y', config='x:Z', summary='one of very many')\n"
            for hook, spec in kinds
        ]
        plugins.add(f"many{plugin}", "\n".join(hooks))
    environment = plugins.environment()

    def listed() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "espnet3_core", "list"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout.count("one of very many") == 1080
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(listed() for _ in range(3)) < 0.5
