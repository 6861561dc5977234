import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from resume_cases import context_for, outcome
from toy_training import Died, Trace, read_trace, run_toy

class RankTrace(Trace):
    def on_train_batch_end(self, trainer, *rest):
        self.path = self.path.with_name(f"trace{trainer.global_rank}")
        super().on_train_batch_end(trainer, *rest)

def run(directory, die_at=None):
    directory.mkdir(exist_ok=True)
    context = context_for(directory, trainer={"strategy": "ddp_fork", "devices": 2})
    run_toy(context, trace=RankTrace(directory / "trace", die_at))

whole, parts = Path(sys.argv[2]) / "whole", Path(sys.argv[2]) / "parts"
run(whole)
try:
    run(parts, 5)
except Exception as error:
    assert "Died" in str(error), error
else:
    raise SystemExit("nobody died")
run(parts)
seen = []
for rank in (0, 1):
    first, second = (
        {(epoch, batch): record for epoch, batch, *record in read_trace(folder / f"trace{rank}")}
        for folder in (whole, parts)
    )
    assert first == second, rank
    seen += [(place[0], name) for place, record in first.items() for name in record[0]]
assert len(seen) == len(set(seen)) == 3 * 24  # in each epoch, each utterance on one rank
assert outcome(whole) == outcome(parts)
print("equal")
"""


def test_two_processes_resume_bit_for_bit_and_agree_on_the_means(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        command, timeout=300, check=False, capture_output=True, text=True, env=environment
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.endswith("equal\n")
