"""How well an aligner has learnt the order of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from espnet3_tts.metrics.base import PooledMetric


class AlignmentOrder(PooledMetric):
    """Utterances in percent in whose alignment no token is passed over, though it is not forced to have all.

    It takes the results of :class:`espnet3_tts.synthesis.aligning.Alignments`. ``agreement`` (percent of
    frames) and ``unseen`` (percent of tokens) beside it tell of the soft attention alone.
    """

    key = "ordered"
    better = "higher"
    scale = 100.0
    inputs: ClassVar = {name: name for name in ("ordered", "agreeing", "frames", "unseen", "tokens")}

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Take in alignments."""
        columns = (values[name] for name in self.inputs)
        for name, ordered, agreeing, frames, unseen, tokens in zip(ids, *columns, strict=True):
            self.add(
                name, float(ordered), 1.0, agreeing=agreeing, frames=frames, unseen=unseen, tokens=len(tokens)
            )

    def compute(self) -> dict[str, Any]:
        """The score, and the two shares."""
        total = {
            key: sum(entry[key] for entry in self.entries)
            for key in ("agreeing", "frames", "unseen", "tokens")
        }
        shares = {
            "agreement": 100.0 * total["agreeing"] / total["frames"] if total["frames"] else None,
            "unseen": 100.0 * total["unseen"] / total["tokens"] if total["tokens"] else None,
        }
        return super().compute() | shares
