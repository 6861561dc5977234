"""Averages of selected models: as training writes them, and made again afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean
from espnet3_core.train.checkpoints import Kept, Selection, read_index, save_weights, write_index

if TYPE_CHECKING:
    from torch import Tensor


def average_weights(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Mean of the real-valued tensors of several files, in float64; the others are those of the last file."""
    import torch
    from safetensors import safe_open

    result: dict[str, Tensor] = {}
    files: list[Any] = [safe_open(str(path), framework="pt") for path in paths]
    for name in files[-1].keys():  # noqa: SIM118 - not a mapping
        tensors = [file.get_tensor(name) for file in files]
        newest = tensors[-1]
        if newest.is_floating_point() or newest.is_complex():
            total = torch.zeros_like(newest, dtype=torch.promote_types(newest.dtype, torch.float64))
            for tensor in tensors:
                total += tensor
            newest = (total / len(tensors)).to(newest.dtype)
        result[name] = newest
    return result


def average_name(index: int, monitor: str) -> str:
    """File of the average of a selection: ``average.safetensors`` of the first."""
    return f"average_{index}_{monitor.replace('/', '.')}.safetensors" if index else "average.safetensors"


def write_average(directory: Path, monitor: str, models: Sequence[Kept], path: Path) -> None:
    """Write the average of some models of a ``checkpoints`` folder; its header lists them with their scores.

    Raises:
        UserError: One of them is gone, or the disk is full or read-only.
    """
    sources = sorted(models, key=lambda kept: kept.step)
    try:
        weights = average_weights([directory / kept.file for kept in sources])
    except FileNotFoundError as error:
        raise UserError(
            f"{directory}: a model to average is gone: {error}",
            hint="bring it back, or average what is left: espnet3 average",
        ) from error
    save_weights(path, weights, {"monitor": monitor, "average_of": [asdict(kept) for kept in sources]})


def average_again(
    folder: Path,
    *,
    monitor: str | None = None,
    keep: int | None = None,
    files: Sequence[str] = (),
    output: Path | None = None,
) -> tuple[Path, list[Kept]]:
    """Make an average from the models that an experiment holds.

    Args:
        folder: The experiment, or its ``checkpoints``.
        monitor: Value by which training selected; None for the first of these.
        keep: How many of the best by it; None for all that training kept.
        files: Average these instead.
        output: Where it goes; None for the average of the selection, which inference calls ``average``.

    Returns:
        The file, and the models in it.

    Raises:
        UserError: Nothing was trained here, or there are fewer models than asked for.
    """
    directory = folder / "checkpoints" if (folder / "checkpoints").is_dir() else folder
    index = read_index(directory)
    selections = [Selection.from_index(table) for table in index.get("selections", [])]
    names = [selection.monitor for selection in selections]
    if not names:
        raise UserError(f"{folder}: no models were selected here", hint="give the folder of an experiment")
    if monitor is not None and monitor not in names:
        hint = did_you_mean(monitor, names, otherwise=f"training selected by {', '.join(names)}")
        raise UserError(f"{directory}: no models were selected by {monitor!r}", hint=hint)
    place = names.index(monitor) if monitor is not None else 0
    selection = selections[place]
    models = [_kept(directory, name, selection.monitor) for name in files] or selection.kept[:keep]
    if not models or (not files and len(models) < (keep or 1)):
        raise UserError(
            f"{directory}: {len(selection.kept)} models are kept by {selection.monitor}, not {keep or 1}",
            hint=f"training.checkpoint.best.{place}.keep says how many",
        )
    path = output or directory / average_name(place, selection.monitor)
    write_average(directory, selection.monitor, models, path)
    if output is None:
        selection.average, selection.averaged = path.name, models
        write_index(directory, selections, index.get("last"))
    return path, models


def _kept(directory: Path, name: str, monitor: str) -> Kept:
    """What the header of a selected model's file says about it."""
    from safetensors import SafetensorError, safe_open

    path = directory / name if (directory / name).is_file() else Path(name).resolve()
    if not path.is_file():
        present = sorted(path.name for path in directory.glob("epoch*.safetensors"))
        hint = did_you_mean(name, present, otherwise=f"there are: {', '.join(present) or 'none'}")
        raise UserError(f"{directory / name}: no such model", hint=hint)
    try:
        with safe_open(str(path), framework="pt") as stream:
            header: dict[str, Any] = {key: json.loads(text) for key, text in stream.metadata().items()}
        own = path.name if path.parent == directory.resolve() or path.parent == directory else str(path)
        return Kept(own, float(header["values"].get(monitor, "nan")), header["epoch"], header["step"])
    except (SafetensorError, ValueError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path}: not a model that training selected",
            hint="they are called like epoch003_step0000120.safetensors",
        ) from error
