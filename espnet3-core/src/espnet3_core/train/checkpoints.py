"""The files of ``checkpoints/``: weights, their selection, their average, and how a name finds them.

``last.ckpt`` is what training resumes from. Every selected model is a ``.safetensors`` file with the names
of the model's own state dict, which inference loads without Lightning. ``index.json`` lists them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open, atomic_write_json
from espnet3_core.names import did_you_mean
from espnet3_core.train.states import LAST, PREVIOUS

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

INDEX = "index.json"


@dataclass(frozen=True)
class Kept:
    """One selected model.

    Attributes:
        file: Name in ``checkpoints/``.
        value: The monitored value.
        epoch: Epochs that were complete, counted from 0.
        step: Optimizer steps.
    """

    file: str
    value: float
    epoch: int
    step: int


@dataclass
class Selection:
    """The best models by one value.

    Attributes:
        monitor: The value, ``valid/loss``.
        mode: ``min`` or ``max``.
        keep: How many are kept.
        kept: The best first.
        average: File of their average, when it is wanted and there is one.
        averaged: The models in it.
    """

    monitor: str
    mode: str
    keep: int
    kept: list[Kept] = field(default_factory=list)
    average: str | None = None
    averaged: list[Kept] = field(default_factory=list)

    def wants(self, value: float) -> bool:
        """Whether a model with this value is among the best. NaN never is."""
        if value != value or self.keep < 1:
            return False
        return len(self.kept) < self.keep or self._key(value) < self._key(self.kept[-1].value)

    def add(self, kept: Kept) -> list[str]:
        """Take a model in; returns the files that fall out. Of equal ones the earlier stays first."""
        same = [old for old in self.kept if old.file != kept.file]
        ranked = sorted([*same, kept], key=lambda item: (self._key(item.value), item.step))
        self.kept = ranked[: self.keep]
        return [item.file for item in ranked[self.keep :]]

    def _key(self, value: float) -> float:
        return value if self.mode == "min" else -value

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Selection:
        """What :meth:`to_dict` wrote."""
        models = {key: [Kept(**kept) for kept in state.get(key, ())] for key in ("kept", "averaged")}
        return cls(**{**state, **models})

    def to_index(self) -> dict[str, Any]:
        """Its table in ``index.json``."""
        average = {"file": self.average, "sources": [asdict(kept) for kept in self.averaged]}
        table = {key: value for key, value in self.to_dict().items() if key != "averaged"}
        return {**table, "average": average if self.average else None}

    @classmethod
    def from_index(cls, table: Mapping[str, Any]) -> Selection:
        """What :meth:`to_index` wrote."""
        average = table["average"] or {"file": None, "sources": []}
        return cls.from_dict({**table, "average": average["file"], "averaged": average["sources"]})


def save_weights(path: Path, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write a state dict as safetensors, atomically. Tied weights are written under each of their names.

    Equal weights and metadata make equal bytes, so that files can be compared by their hash.

    Raises:
        UserError: The disk is full or read-only.
    """
    from safetensors.torch import save
    from torch import Tensor

    tensors = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in weights.items()
        if isinstance(value, Tensor)
    }
    header = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    with atomic_open(path, "wb") as stream:
        stream.write(_in_order(save(tensors, metadata=header)))


def _in_order(content: bytes) -> bytes:
    """A safetensors file with sorted metadata: the library writes them in a random order."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def read_index(directory: Path) -> dict[str, Any]:
    """``index.json`` of a ``checkpoints`` folder; empty when there is none."""
    path = directory / INDEX
    if not path.exists():
        return {}
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(index, dict):
            raise ValueError("a mapping is expected")
    except ValueError as error:
        raise UserError(
            f"{path}: not JSON: {error}", hint="train again, or give the path of a checkpoint"
        ) from None
    return index


def write_index(directory: Path, selections: Sequence[Selection], last: Mapping[str, Any] | None) -> None:
    """Write ``index.json``."""
    tables = [selection.to_index() for selection in selections]
    atomic_write_json(directory / INDEX, {"last": dict(last) if last else None, "selections": tables})


def resolve_checkpoint(experiment: Path, which: str, recipe: Path | None = None) -> Path:
    """The file that a recipe means by ``best``, ``average``, ``last`` or a path.

    Args:
        experiment: Folder of the experiment.
        which: One of the three words (of the first selection), ``best:valid/cer`` or ``average:valid/cer``
            for another selection, or a path, absolute or relative to the recipe, the working directory,
            the experiment or its ``checkpoints``.
        recipe: Folder of the recipe.

    Raises:
        UserError: There is no such checkpoint.
    """
    directory = Path(experiment) / "checkpoints"
    word, _, monitor = which.partition(":")
    if word in ("best", "average", "last"):
        path = _named(directory, word, monitor)
        if path.exists():
            return path
        raise _missing(directory, which, path)
    folders = (*([recipe] if recipe else []), Path(), Path(experiment), directory)
    for candidate in (folder / which for folder in folders):
        if candidate.exists():
            return candidate
    present = sorted(path.name for path in directory.glob("*") if path.suffix in (".ckpt", ".safetensors"))
    raise UserError(
        f"there is no checkpoint {which!r}, and none of that name in {directory}",
        hint=did_you_mean(
            which,
            ["best", "average", "last", *present],
            otherwise=f"best, average, last, a path, or one of: {', '.join(present) or 'none yet'}",
        ),
    )


def _named(directory: Path, word: str, monitor: str) -> Path:
    if word == "last":  # a crash may have come between its two names
        return directory / (LAST if (directory / LAST).exists() else PREVIOUS)
    for table in read_index(directory).get("selections", []):
        selection = Selection.from_index(table)
        if monitor not in ("", selection.monitor):
            continue
        if word == "average" and selection.average:
            return directory / selection.average
        if word == "best" and selection.kept:
            return directory / selection.kept[0].file
        break
    return directory / f"{word}.safetensors"


def _missing(directory: Path, which: str, path: Path) -> UserError:
    index = read_index(directory)
    if not directory.exists() or not (index or (directory / LAST).exists()):
        return UserError(f"{directory.parent}: nothing has been trained here", hint="run stage train first")
    monitors = [table["monitor"] for table in index.get("selections", [])]
    return UserError(
        f"{path}: there is no checkpoint {which!r}",
        hint=f"'last' exists; selections by: {', '.join(monitors) or 'none'} "
        "(training.checkpoint.best, with 'average: true' for averages)",
    )


def load_state(path: Path) -> dict[str, Tensor]:
    """The model's state dict in a weights file (``.safetensors``), ``last.ckpt``, or a bundle's folder.

    Raises:
        UserError: The file cannot be read, or holds no weights.
    """
    import pickle
    import zipfile

    import torch

    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(path))
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such checkpoint",
            hint="inference.checkpoint is best, average, last or the path of one",
        ) from None
    except pickle.UnpicklingError as error:  # whose message is about torch's own options
        raise UserError(
            f"{path}: cannot be read as a checkpoint: it is none, or holds other things than tensors",
            hint="take a .safetensors file, last.ckpt, or a state dict written by torch.save",
        ) from error
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read as a checkpoint: {str(error).splitlines()[0]}",
            hint="it may be truncated, or hold other things than tensors; take a .safetensors file",
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        return model_state(content["state_dict"])
    if isinstance(content, Mapping) and all(isinstance(value, torch.Tensor) for value in content.values()):
        return dict(content)
    raise UserError(
        f"{path}: holds no weights of a model", hint="a state dict or a training checkpoint is expected"
    )


def model_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's own names from the state dict of a training module."""
    named = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.")}
    return {name.replace("_orig_mod.", ""): value for name, value in named.items()}


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of a checkpoint into a model, all or nothing.

    Raises:
        UserError: The file cannot be read, or is of another model: names or shapes differ.
    """
    state = load_state(path)
    if problems := other_weights(shapes_of(model.state_dict()), shapes_of(state)):
        raise UserError(
            f"{path} is a checkpoint of another model: {problems}",
            hint="use the configuration it was trained with, or another checkpoint",
        )
    model.load_state_dict(state, strict=False)


def shapes_of(state: Mapping[str, Any]) -> dict[str, tuple[int, ...] | None]:
    """The shape of each tensor of a state dict; None for other values."""
    return {
        name: tuple(value.shape) if hasattr(value, "shape") else None
        for name, value in state.items()
        if not name.endswith("_extra_state")
    }


def other_weights(
    own: Mapping[str, tuple[int, ...] | None], found: Mapping[str, tuple[int, ...] | None]
) -> str:
    """How the shapes in a checkpoint differ from a model's own, in words; empty when they do not."""
    missing = [name for name in own if name not in found]
    unexpected = [name for name in found if name not in own]
    shapes = [
        f"{name} {found[name]} instead of {shape}"
        for name, shape in own.items()
        if name in found and found[name] != shape
    ]
    problems = [_some("missing", missing), _some("unexpected", unexpected), _some("of another shape", shapes)]
    return "; ".join(filter(None, problems))


def _some(what: str, names: Sequence[str], shown: int = 4) -> str:
    if not names:
        return ""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{len(names)} {what} ({', '.join(names[:shown])}{more})"
