"""What a model that was not trained from nothing scores before its first step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext


class FirstScore(Callback):
    """Tells the values of the whole validation set before training; Lightning runs it as its sanity check."""

    def __init__(self, context: StageContext) -> None:
        self.context = context

    def on_sanity_check_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the values and keep them in the stage's record."""
        values = {name: value for name, value in pl_module.latest.items() if name.startswith("valid/")}
        if trainer.is_global_zero and values:
            told = ", ".join(f"{name} {value:.5g}" for name, value in sorted(values.items()))
            self.context.logger.info("before the first step: %s", told)
            self.context.note(before_the_first_step=dict(values))
