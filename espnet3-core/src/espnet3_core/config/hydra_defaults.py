"""Which files a ``defaults:`` list draws in, in which order and under which keys: Hydra's answer.

Imported only when a recipe's YAML has a ``defaults:`` list.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from espnet3_core.catalog import current_catalog
from espnet3_core.config.places import Document, read_document, shown_path, syntax_error
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean

_composing: ContextVar[bool] = ContextVar("espnet3_composing", default=False)


class PluginConfigGroups(SearchPathPlugin):
    """Adds the config groups of espnet3's plugins while espnet3 composes; other Hydra apps are left alone."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Append one search path per contribution, in the order of namespaces."""
        if _composing.get():
            for namespace, path in current_catalog().config_paths():
                search_path.append(provider=namespace, path=path)


@dataclass(frozen=True)
class Piece:
    """One file of a composed configuration.

    Attributes:
        document: What it says.
        package: Keys under which it is laid.
        group: Config group that chose it (``model``), or None.
    """

    document: Document
    package: tuple[str, ...]
    group: str | None


def pieces(conf: Path, stem: str, choices: Sequence[str] = ()) -> list[Piece]:
    """The files of a configuration, lowest layer first.

    Args:
        conf: The recipe's ``conf`` folder, which comes first in the search path.
        stem: Stem of the primary file.
        choices: ``group=option`` overrides of the defaults list.

    Raises:
        UserError: A file or option in a defaults list does not exist, or a file cannot be read.
    """
    primary = conf / f"{stem}.yaml"
    with _loader(conf) as loader:
        try:
            with warnings.catch_warnings():
                # That a file's own keys come last when its list lacks ``_self_`` is what users expect.
                warnings.filterwarnings("ignore", message=".*_self_.*")
                defaults = loader.compute_defaults_list(stem, list(choices), RunMode.RUN).defaults
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise syntax_error(str(mark.name) if mark else str(primary), error) from error
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise _composition_error(primary, error, loader) from error
        found = []
        for default in defaults:
            path = default.config_path
            if path is None or path.startswith("hydra/") or path == "hydra" or default.package == "hydra":
                continue
            package = default.package or ""
            keys = () if package in ("", "_global_") else tuple(package.split("."))
            found.append(Piece(_document(loader, path), keys, default.override_key))
        return found


@contextmanager
def _loader(conf: Path) -> Iterator[ConfigLoader]:
    """Hydra's config loader for a recipe; whatever Hydra state the process had is put back."""
    Plugins.instance().register(PluginConfigGroups)
    token = _composing.set(True)
    # The program around us may itself be a Hydra application.
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf.resolve()), job_name="espnet3", version_base="1.3"):
            yield GlobalHydra.instance().config_loader()
    finally:
        GlobalHydra.instance().hydra = before
        _composing.reset(token)


def _document(loader: ConfigLoader, config_path: str) -> Document:
    for source in loader.get_sources():
        if source.scheme() not in ("file", "pkg") or not source.is_config(config_path):
            continue
        name = config_path if config_path.endswith(".yaml") else f"{config_path}.yaml"
        if source.scheme() == "file":
            return read_document(Path(source.path) / name)
        module, *folders = source.path.split("/")
        resource = files(module).joinpath(*folders, name)
        return read_document(str(resource), resource.read_text(encoding="utf-8"))
    raise UserError(
        f"{config_path}: no such configuration file",
        hint="mend the name in the `defaults` list, or add the file",
    )


def _composition_error(primary: Path, error: Exception, loader: ConfigLoader) -> UserError:
    """Hydra's message in one line, with the line of the defaults list and the options there are."""
    text = str(error)
    missing = getattr(error, "missing_cfg_file", None)
    head, hint = text.partition("\nConfig search path")[0].strip(), None
    if missing:
        folder, _, option = str(missing).rpartition("/")
        options = _options(loader, folder)
        listed = f"{folder or 'conf'} has: {', '.join(options) or 'nothing'}"
        head = f"defaults: there is no configuration file {missing}.yaml"
        hint = did_you_mean(option, options, otherwise=listed)
    head = " ".join(head.split())
    return UserError(f"{_default_place(primary, missing)}: {head}", hint=hint)


def _options(loader: ConfigLoader, folder: str) -> list[str]:
    """Configuration files and folders in a folder of the search path."""
    found: set[str] = set()
    for source in loader.get_sources():
        if source.scheme() in ("file", "pkg") and source.is_group(folder):
            found.update(source.list(folder, None))
    return sorted(name for name in found if not name.startswith(("hydra", "_")))


def _default_place(primary: Path, missing: Any) -> str:
    """The line of the defaults list that names a missing file, else the file alone."""
    document = read_document(primary)
    words = str(missing).split("/") if missing else []
    entries = document.data.get("defaults")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        text = " ".join(map(str, entry.items() if isinstance(entry, dict) else [entry]))
        if words and words[-1] in text:
            return str(document.places[("defaults", index)])
    place = document.places.get(("defaults",))
    return str(place) if place else shown_path(primary)
