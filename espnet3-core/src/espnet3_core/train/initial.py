"""Beginning from another model: its weights, its tokenizer, and what becomes of its vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.component import Component
from espnet3_core.config.roles import InitConfig
from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from espnet3_core.recipe.context import StageContext

_ARCHIVES = (".zip", ".tar", ".gz")


@dataclass(frozen=True)
class Initial:
    """Where the weights of a new training come from.

    Attributes:
        config: ``model.init_from``.
        weights: File of the weights.
        bundle: Folder of the bundle; None for a checkpoint.
        tokenizer: The bundle's tokenizer; None where there is none.
    """

    config: InitConfig
    weights: Path
    bundle: Path | None = None
    tokenizer: Component | None = None

    @property
    def keeps_tokenizer(self) -> bool:
        """Whether the vocabulary is the bundle's, or begins with it."""
        return self.tokenizer is not None and self.config.vocabulary != "replace"

    def load_tokenizer(self, needs: Mapping[str, Any]) -> Any:
        """The bundle's tokenizer with its vocabulary."""
        from espnet3_core.bundle.manifest import TOKENIZER

        assert self.bundle is not None
        assert self.tokenizer is not None
        tokenizer = self.tokenizer.build(**needs)
        tokenizer.load(self.bundle / TOKENIZER)
        return tokenizer


def initial_of(context: StageContext) -> Initial | None:
    """What ``training.model.init_from`` names, checked; None when training begins from nothing.

    Raises:
        UserError: The bundle is refused, or a checkpoint cannot give what the policy asks for.
    """
    config: InitConfig | None = context.config("training").model.init_from
    if config is None:
        return None
    path = Path(config.source)
    if "://" not in config.source and not path.is_absolute():
        path = context.recipe.directory / path
    if "://" in config.source or path.is_dir() or path.suffix in _ARCHIVES:
        return _from_bundle(config, config.source if "://" in config.source else str(path))
    if config.vocabulary == "extend":
        raise UserError(
            f"training.model.init_from: {path} is a checkpoint, which has no vocabulary to extend",
            hint="give a bundle (espnet3 pack makes one), or vocabulary: replace",
        )
    return Initial(config, path)


def _from_bundle(config: InitConfig, source: str) -> Initial:
    from espnet3_core.bundle.check import check_bundle, check_config
    from espnet3_core.bundle.load import require_plugins
    from espnet3_core.bundle.manifest import WEIGHTS
    from espnet3_core.bundle.source import local_bundle

    directory = local_bundle(source)
    require_plugins(directory, check_bundle(directory))
    return Initial(config, directory / WEIGHTS, directory, check_config(directory).tokenizer)


def take_tokenizer(initial: Initial, own: Component, needs: Mapping[str, Any], texts: Iterable[str]) -> Any:
    """The bundle's tokenizer; with ``vocabulary: extend`` also with the new tokens of the training texts.

    Raises:
        UserError: The recipe's tokenizer is another, or it cannot grow.
    """
    from espnet3_core.config.effective import effective

    assert initial.tokenizer is not None
    theirs = effective(initial.tokenizer)
    if effective(own) != theirs:
        raise UserError(
            f"training.tokenizer: it is another than that of {initial.config.source}, which is to stay",
            hint=f"write {theirs}; or training.model.init_from.vocabulary: replace",
        )
    tokenizer = initial.load_tokenizer(needs)
    if initial.config.vocabulary == "extend":
        if not callable(getattr(tokenizer, "extend", None)):
            raise UserError(
                f"training.tokenizer: {own.name} cannot take in new tokens",
                hint="training.model.init_from.vocabulary: keep, or replace",
            )
        tokenizer.extend(texts)
    return tokenizer


@dataclass
class Report:
    """What became of the weights.

    Attributes:
        loaded: Taken over as they are.
        extended: Taken over for the tokens that both vocabularies have.
        new: As the model's constructor leaves them.
        unused: In the source only, or left out by ``skip``.
    """

    loaded: list[str] = field(default_factory=list)
    extended: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} loaded"]
        for label in ("extended", "new", "unused"):
            if names := getattr(self, label):
                parts.append(f"{len(names)} {label} ({_some(names)})")
        return ", ".join(parts)


def _some(names: list[str], shown: int = 6) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def load_initial(
    initial: Initial, model: nn.Module, tokenizer: Any, build: Callable[[int], nn.Module]
) -> Report:
    """Load the weights of another model as far as its policy says.

    Which weights belong to the vocabulary is found by building the model once more with one token more:
    their shape grows along one axis.

    Args:
        initial: Where they come from.
        model: The new model; changed in place.
        tokenizer: The new model's tokenizer; None where it has none.
        build: Makes the model for a number of tokens.

    Raises:
        UserError: Weights of the same name have other shapes, or nothing fits at all.
    """
    from espnet3_core.train.checkpoints import load_state

    own = {name: value for name, value in model.state_dict().items() if hasattr(value, "shape")}
    state = load_state(initial.weights)
    skipped = [name for name in state if any(fnmatchcase(name, pattern) for pattern in initial.config.skip)]
    found = {name: value for name, value in state.items() if name not in skipped}
    report = Report(unused=[*skipped, *(name for name in found if name not in own)])
    axes = {}
    if tokenizer is not None and initial.config.vocabulary != "keep":
        axes = _vocabulary_axes(own, build(len(tokenizer) + 1), len(tokenizer))
    rows = _rows(initial, tokenizer) if axes and initial.config.vocabulary == "extend" else None
    values, wrong = {}, []
    for name, value in own.items():
        if name not in found or (name in axes and rows is None):
            report.new.append(name)
        elif name in axes and rows is not None and _fits(found[name], value, axes[name]):
            values[name] = _extended(found[name], value, axes[name], rows)
            report.extended.append(name)
        elif found[name].shape == value.shape:
            values[name] = found[name]
            report.loaded.append(name)
        else:
            wrong.append(f"{name} {tuple(found[name].shape)} instead of {tuple(value.shape)}")
    if wrong or not values:
        problem = f"{len(wrong)} weights have another shape: {_some(wrong)}" if wrong else "no weight fits"
        raise UserError(
            f"training.model.init_from: {initial.config.source} is of another model: {problem}",
            hint="take its configuration (espnet3 inspect BUNDLE --json), another vocabulary policy, or "
            "name weights that begin anew: init_from.skip: [pattern]",
        )
    model.load_state_dict(values, strict=False)
    return report


def _vocabulary_axes(own: Mapping[str, Tensor], larger: nn.Module, size: int) -> dict[str, int]:
    """The axis of each weight that counts tokens."""
    axes = {}
    for name, value in larger.state_dict().items():
        if name not in own or not hasattr(value, "shape") or value.dim() != own[name].dim():
            continue
        grown = [axis for axis in range(value.dim()) if value.shape[axis] != own[name].shape[axis]]
        if len(grown) == 1 and own[name].shape[grown[0]] == size:
            axes[name] = grown[0]
    return axes


def _rows(initial: Initial, tokenizer: Any) -> list[tuple[int, int]]:
    """New id and old id of the tokens that both vocabularies have."""
    if initial.tokenizer is None:
        return []
    old = {token: index for index, token in enumerate(initial.load_tokenizer({}).tokens)}
    return [(index, old[token]) for index, token in enumerate(tokenizer.tokens) if token in old]


def _fits(found: Tensor, own: Tensor, axis: int) -> bool:
    shapes = [[*value.shape[:axis], *value.shape[axis + 1 :]] for value in (found, own)]
    return found.dim() == own.dim() and shapes[0] == shapes[1]


def _extended(found: Tensor, own: Tensor, axis: int, rows: list[tuple[int, int]]) -> Tensor:
    import torch

    new, old = (torch.tensor(ids, device=own.device) for ids in zip(*rows, strict=True))
    return own.clone().index_copy(axis, new, found.to(own).index_select(axis, old))
