"""Core's executors, as records for the plugin ``core``."""

from __future__ import annotations

from espnet3_core.specs import ExecutorSpec

EXECUTORS = (
    ExecutorSpec(
        name="core/in_process",
        target="espnet3_core.infer.executors:InProcess",
        config="espnet3_core.infer.config:InProcessConfig",
        summary="In this process, one batch after another",
    ),
    ExecutorSpec(
        name="core/processes",
        target="espnet3_core.infer.executors:Processes",
        config="espnet3_core.infer.config:ProcessesConfig",
        summary="A pool of processes on this machine; a lost one costs its shard only, which is tried again",
    ),
)
