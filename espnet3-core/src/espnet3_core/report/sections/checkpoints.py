"""Models that were kept, averages and what they are of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h, missing, table


def checkpoints(evidence: Evidence) -> Iterator[Markup]:
    """A table per selection, the average with its sources, and where a training would go on."""
    index, folder = evidence.index, evidence.place.experiment.checkpoints
    if not index:
        yield missing("No checkpoint has been written yet", evidence.place.command("train"))
        return
    for selection in index.get("selections") or ():
        best = "highest" if selection.get("mode") == "max" else "lowest"
        yield h("h3", f"{best} {selection['monitor']}")
        average: Mapping[str, Any] = selection.get("average") or {}
        sources = {source["file"] for source in average.get("sources", ())}
        rows = [
            [
                kept["file"], _size(folder, kept["file"]), kept["epoch"], kept["step"], kept["value"],
                "yes" if kept["file"] in sources else "",
            ]
            for kept in selection.get("kept") or ()
        ]  # fmt: skip
        yield table(["file", "size", "epoch", "step", selection["monitor"], "in the average"], rows)
        if average:
            told = ", ".join(source["file"] for source in average["sources"])
            yield h("p", h("b", average["file"]), f" ({_size(folder, average['file'])}): average of {told}.")
        elif not rows:
            yield missing("No validation has selected a model yet")
    if last := index.get("last"):
        where = f"step {last['step']:,}, epoch {last['epoch']}"
        yield h("p", h("b", last["file"]), f": training goes on from {where}, batch {last.get('batch', 0)}.")


def _size(folder: Any, name: str) -> str:
    path = folder / name
    return f"{path.stat().st_size / 1e6:.1f} MB" if path.is_file() else "gone"
