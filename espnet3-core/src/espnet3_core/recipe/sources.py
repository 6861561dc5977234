"""A recipe's own code: ``src`` and ``dataset`` of one recipe, never seen by another in the same process.

While a recipe is active, the top-level names ``src`` and ``dataset`` belong to its folder: an import finder
looks there first, and modules of a recipe that is active further out are set aside. The folder also stands
on ``sys.path``, which :mod:`multiprocessing` hands to the processes it spawns, so that what was pickled here
can be read there.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espnet3_core.recipe.recipe import Recipe

LOCAL_NAMES = ("src", "dataset")
"""Top-level names that belong to the recipe."""


class RecipeFinder(MetaPathFinder):
    """Finds the recipe's own top-level packages in its folder.

    Args:
        directory: The recipe.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The package or file of that name in the recipe; None for every other name."""
        if path is not None or fullname not in LOCAL_NAMES:
            return None
        package, file = self.directory / fullname, self.directory / f"{fullname}.py"
        if (package / "__init__.py").is_file():
            return importlib.util.spec_from_file_location(
                fullname, package / "__init__.py", submodule_search_locations=[str(package)]
            )
        if file.is_file():
            return importlib.util.spec_from_file_location(fullname, file)
        if package.is_dir():
            # A namespace package with a fixed path: the usual one is looked up anew when sys.path changes.
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(package)]
            return spec
        if fullname == "src":
            raise ModuleNotFoundError(f"the recipe {self.directory} has no folder src", name=fullname)
        return None


class Sources:
    """The code of one recipe, which keeps its modules between activations.

    Args:
        directory: The recipe.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._modules: dict[str, ModuleType] = {}
        self._depth = 0

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Give the names ``src`` and ``dataset`` to this recipe within a block. Blocks may be nested."""
        if self._depth and _active[-1:] == [self]:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        aside = _take_local_modules()
        if _active:
            _active[-1]._modules = aside
        finder = RecipeFinder(self.directory)
        sys.meta_path.insert(0, finder)
        sys.path.insert(0, str(self.directory))
        sys.modules.update(self._modules)
        _active.append(self)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            _active.pop()
            sys.meta_path.remove(finder)
            if str(self.directory) in sys.path:
                sys.path.remove(str(self.directory))
            self._modules = _take_local_modules()
            sys.modules.update(_active[-1]._modules if _active else aside)


_active: list[Sources] = []
_known: dict[Path, Sources] = {}
_for_good = ExitStack()


def sources_of(directory: Path) -> Sources:
    """The sources of a recipe; one object per folder, so that its classes stay the same."""
    return _known.setdefault(directory.resolve(), Sources(directory.resolve()))


def activate_in_worker(directory: str | Path) -> Recipe:
    """Make a recipe the active one of this process for good: its sources and its plugin hooks.

    Called first in a process that was started to work for the recipe.
    """
    from espnet3_core.recipe.recipe import Recipe

    recipe = Recipe.load(directory)
    _for_good.enter_context(recipe.activate())
    return recipe


def _take_local_modules() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] in LOCAL_NAMES]
    return {name: sys.modules.pop(name) for name in names}


def has_source(directory: Path, name: str) -> bool:
    """Whether the recipe has ``src/<name>.py`` or a package of that name."""
    return (directory / "src" / f"{name}.py").is_file() or (
        directory / "src" / name / "__init__.py"
    ).is_file()
