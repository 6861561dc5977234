import subprocess
import sys

import pytest

STEPS = """
import resource, sys, torch
from espnet3_core.memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    total = torch.ones(1 << 22)
    for _ in range(20):
        total = total + torch.ones(1 << 24)[: 1 << 22]
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="an option of the GNU C library")
def test_the_memory_of_one_step_serves_the_next():
    new_pages = {way: int(_output(sys.executable, "-c", STEPS, way)) for way in ("kept", "given back")}
    assert new_pages["kept"] < 1000 < 100_000 < new_pages["given back"]


def _output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
