"""The plugin ``rnn``."""

from __future__ import annotations

from collections.abc import Iterable

from espnet3_core import specs
from espnet3_core.hookspecs import hookimpl


@hookimpl
def espnet3_models() -> Iterable[specs.ModelSpec]:
    """One model."""
    yield specs.ModelSpec(
        name="rnn/ctc",
        target="espnet3_rnn.model:RNNCTC",
        config="espnet3_rnn.config:RNNCTCConfig",
        summary="A recurrent network trained with CTC",
        tasks=("asr",),
    )
