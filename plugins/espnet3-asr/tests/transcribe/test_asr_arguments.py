"""The arguments of ``espnet3 asr``."""

from __future__ import annotations

import argparse
import subprocess
import sys

from espnet3_asr.transcribe.arguments import arguments


def test_arguments_import_nothing_heavy() -> None:
    code = (
        "import sys, espnet3_asr.cli_records\n"
        "import espnet3_asr.transcribe.arguments, espnet3_asr.transcribe.command\n"
        "import espnet3_asr.tokenizers.records, espnet3_asr.metrics.records\n"
        "import espnet3_asr.tokenizers.config, espnet3_asr.metrics.config\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'hydra', 'omegaconf', 'lightning', 'rapidfuzz'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
    parser = argparse.ArgumentParser()
    arguments(parser)
    assert parser.parse_args(["-"]).inputs == ["-"]
