"""Several processes: which of them this is, and starting a stage that has several as a command of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet3_core.errors import EXIT_BUG, EXIT_RESUMABLE, Interrupted, UserError
from espnet3_core.recipe.experiment import Experiment
from espnet3_core.recipe.ranks import aftermath

_CHILD = "ESPNET3_STAGE_PROCESS"
_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "NODE_RANK")
_SIZES = ("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
"""``SLURM_STEP_NUM_TASKS`` is set by ``srun``; ``SLURM_NTASKS`` also in a batch script that runs alone."""


class StageProcessFailed(UserError):
    """The command that ran a stage failed, and has said why; the exit code is its own."""


def rank() -> int:
    """0 for the first of the processes that a launcher started for the same work, and when it is alone.

    Others have a positive number, which is their rank where the launcher tells it: of a node's first process
    that was started by hand only ``NODE_RANK`` is known.
    """
    return next((number for name in _RANKS if (number := _number(name)) > 0), 0)


def _number(name: str) -> int:
    try:
        return int(os.environ.get(name) or 0)
    except ValueError:
        return 0


def is_stage_process() -> bool:
    """Whether this process was started to run one stage."""
    return bool(os.environ.get(_CHILD))


def is_launched() -> bool:
    """Whether a launcher (torchrun, srun, Lightning) has started this process as one of several."""
    return rank() > 0 or any(_number(name) > 1 for name in _SIZES)


def process_count(trainer: Mapping[str, Any]) -> int:
    """How many processes a Lightning trainer with these arguments starts."""
    nodes = int(trainer.get("num_nodes") or 1)
    devices = trainer.get("devices", "auto")
    if isinstance(devices, str):
        text = devices.strip()
        devices = [part for part in text.split(",") if part.strip()] if "," in text else text
    if isinstance(devices, Sequence) and not isinstance(devices, str):
        return nodes * len(devices)
    if devices in ("auto", "-1", -1):
        return nodes * _visible_devices(str(trainer.get("accelerator", "auto")))
    return nodes * max(1, int(devices))


def _visible_devices(accelerator: str) -> int:
    if accelerator not in ("auto", "gpu", "cuda"):
        return 1
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or not _has_gpu_driver():
        return 1
    import torch

    return max(1, torch.cuda.device_count())


def _has_gpu_driver() -> bool:
    """Whether a CUDA or ROCm driver is loaded, seen without importing torch."""
    return any(
        Path(path).exists() for path in ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
    )


def run_stage_process(
    recipe: Path,
    stage: str,
    *,
    experiment: Experiment,
    stems: Mapping[str, str],
    overrides: Sequence[str],
    force: bool,
) -> None:
    """Run one stage as ``espnet3 run RECIPE --stages STAGE …`` and wait for it.

    Signals to stop are passed on, so that it can save.

    Raises:
        StageProcessFailed: It failed, or one of its processes died or hung; none is left.
        Interrupted: It was stopped, and can be continued.
    """
    command = [sys.executable, "-m", "espnet3_core", "run", str(recipe), "--stages", stage]
    command += ["--tag", experiment.tag]
    for role, stem in stems.items():
        command += ["--config", f"{role}={stem}"]
    command += ["--force"] * force + list(overrides)
    shutil.rmtree(experiment.ranks, ignore_errors=True)  # what an earlier run has left
    process = subprocess.Popen(command, env=os.environ | {_CHILD: stage})
    try:
        code = _wait(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code == EXIT_RESUMABLE or code in (-signal.SIGINT, -signal.SIGTERM):
        raise Interrupted(f"{stage} was interrupted", hint="the same command continues")
    if not code:
        return
    if (trouble := aftermath(experiment.ranks, experiment.log(stage), told=code > 0)) is not None:
        error = StageProcessFailed(f"{stage} was ended: {trouble.what}; see above", hint=trouble.hint)
        error.exit_code = trouble.code
    else:
        error = StageProcessFailed(f"{stage} failed in its own process (exit code {code}); see above")
        error.exit_code = code if code > 0 else EXIT_BUG
    raise error


def _wait(process: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt as stop:
            # On a terminal the signal has reached the child already; a single process was sent it alone.
            if getattr(stop, "signum", signal.SIGINT) != signal.SIGINT or not sys.stdin.isatty():
                process.send_signal(signal.SIGTERM)
