"""The best models of a training: which are kept, their files, their averages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.config.roles import BestConfig
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean
from espnet3_core.train.averages import average_name, write_average
from espnet3_core.train.checkpoints import Kept, Selection, save_weights, write_index

if TYPE_CHECKING:
    from torch import Tensor


class BestModels:
    """Tables of the best models, one for each monitored value, and the files that they name.

    A model that fell out of every table is deleted once a resumable checkpoint knows the tables without it.
    Going on from the checkpoint before that one, it is missed: but the same steps follow, and throw it out
    again whatever the tables hold meanwhile.

    Args:
        directory: ``checkpoints`` of the experiment.
        config: ``training.checkpoint.best``.
    """

    def __init__(self, directory: Path, config: Sequence[BestConfig]) -> None:
        self.directory = directory
        self.config = config
        self.selections = [Selection(best.monitor, best.mode, best.keep) for best in config]
        self._last: Mapping[str, Any] | None = None
        self._doomed: set[str] = set()

    def check(self, values: Mapping[str, float], prefix: str) -> None:
        """Whether the monitored values are there.

        Raises:
            UserError: One that starts with ``prefix`` is not.
        """
        for index, selection in enumerate(self.selections):
            if selection.monitor.startswith(prefix) and selection.monitor not in values:
                raise UserError(
                    f"training.checkpoint.best.{index}.monitor: {selection.monitor!r} is not logged",
                    hint=did_you_mean(
                        selection.monitor, values, otherwise=f"logged: {', '.join(sorted(values))}"
                    ),
                )

    def wanting(self, values: Mapping[str, float], prefix: str) -> list[Selection]:
        """Tables by values that start with ``prefix`` in which a model with these values belongs."""
        mine = [item for item in self.selections if item.monitor.startswith(prefix)]
        return [item for item in mine if item.wants(values[item.monitor])]

    def add(
        self,
        wanting: Sequence[Selection],
        values: Mapping[str, float],
        weights: Mapping[str, Tensor],
        epoch: int,
        step: int,
    ) -> None:
        """Write a model and take it into some tables; their averages are written anew."""
        name = f"epoch{epoch:03d}_step{step:07d}.safetensors"
        save_weights(self.directory / name, weights, {"epoch": epoch, "step": step, "values": dict(values)})
        for selection in wanting:
            self._doomed.update(selection.add(Kept(name, values[selection.monitor], epoch, step)))
            index = self.selections.index(selection)
            if self.config[index].average:
                selection.average = average_name(index, selection.monitor)
                selection.averaged = list(selection.kept)
                path = self.directory / selection.average
                write_average(self.directory, selection.monitor, selection.kept, path)
        write_index(self.directory, self.selections, self._last)

    def saved(self, last: Mapping[str, Any]) -> None:
        """A resumable checkpoint with these tables is on the disk: delete what is in none of them."""
        self._last = last
        self.sweep()
        write_index(self.directory, self.selections, last)

    def sweep(self) -> None:
        """Delete the models that are in no table; the checkpoint on the disk does not name them."""
        for name in self._doomed - {kept.file for table in self.selections for kept in table.kept}:
            (self.directory / name).unlink(missing_ok=True)
        self._doomed.clear()

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "selections": [selection.to_dict() for selection in self.selections],
            "doomed": sorted(self._doomed),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue with the tables of a checkpoint; a selection that was changed starts anew."""
        saved = {
            (table["monitor"], table["mode"]): Selection.from_dict(table) for table in state["selections"]
        }
        self._doomed = set(state.get("doomed", ()))
        for selection in self.selections:
            former = saved.get((selection.monitor, selection.mode))
            if former is not None:
                present = [kept for kept in former.kept if (self.directory / kept.file).exists()]
                selection.kept = present[: selection.keep]
                selection.average, selection.averaged = former.average, former.averaged
