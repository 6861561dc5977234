"""Loggers by name. Their packages are extras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from espnet3_core.errors import Finding, UserError
from espnet3_core.train.config import TensorBoardConfig, WandbConfig

_PACKAGES = {"core/tensorboard": "tensorboard", "core/wandb": "wandb"}


def tensorboard(config: TensorBoardConfig, *, experiment: Path) -> Any:
    """A TensorBoard logger that writes below the experiment.

    Raises:
        UserError: The package is not installed.
    """
    _require("core/tensorboard")
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(save_dir=experiment, name=None, version=config.directory)


def wandb(config: WandbConfig, *, experiment: Path) -> Any:
    """A Weights & Biases logger; a resumed training goes on in the same run.

    Raises:
        UserError: The package is not installed.
    """
    _require("core/wandb")
    from lightning.pytorch.loggers import WandbLogger

    options = {"entity": config.entity, "tags": list(config.tags), "mode": config.mode, "resume": "allow"}
    remembered = experiment / "wandb" / "run_id"
    identity = remembered.read_text(encoding="utf-8").strip() if remembered.exists() else _new_run(remembered)
    return WandbLogger(
        name=config.run or experiment.name,
        project=config.project,
        save_dir=experiment,
        id=identity,
        **{**options, **(config.options or {})},
    )


def _new_run(path: Path) -> str:
    import secrets

    from espnet3_core.files import atomic_write_text

    identity = secrets.token_hex(4)
    atomic_write_text(path, identity + "\n")
    return identity


def missing_packages(training: Mapping[str, Any]) -> Iterator[Finding]:
    """Loggers of a training configuration whose packages are not installed."""
    for index, node in enumerate(training.get("loggers") or ()):
        name = node.get("name") if isinstance(node, Mapping) else None
        package = _PACKAGES.get(str(name).rpartition(":")[2])
        if package and find_spec(package) is None:
            yield Finding(
                message=f"{name} needs the package {package!r}, which is not installed",
                hint=f"pip install 'espnet3-core[{package}]'",
                key=f"training.loggers.{index}.name",
            )


def _require(name: str) -> None:
    package = _PACKAGES[name]
    if find_spec(package) is None:
        raise UserError(
            f"training.loggers: {name} needs the package {package!r}, which is not installed",
            hint=f"pip install 'espnet3-core[{package}]'",
        )
