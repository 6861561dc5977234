"""A recipe: a folder with ``recipe.yaml``, ``conf/*.yaml`` and, where needed, ``src`` and ``dataset``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.names import closest, did_you_mean, normalize_distribution
from espnet3_core.recipe.sources import has_source, sources_of

if TYPE_CHECKING:
    from espnet3_core.catalog import Catalog
    from espnet3_core.specs import SystemSpec

RECIPE_FILE = "recipe.yaml"
_KEYS: dict[str, str] = {
    "name": "text",
    "system": "a registered name, or {_target_: src.system.SYSTEM}",
    "requires": "a list of requirements such as espnet3-asr>=0.1",
    "description": "text",
    "license": "text",
    "licence": "text",
    "source": "text or a mapping",
    "corpus": "text or a mapping",
}


@dataclass(frozen=True)
class Recipe:
    """A recipe folder, read but not run.

    Attributes:
        directory: Absolute path.
        name: As in ``recipe.yaml``, or the folder's last two parts.
        system_ref: Registered name of the system, or its import path when ``system_is_target``.
        system_is_target: Whether the system is the recipe's own.
        requires: Distributions that it needs, as pip reads them.
        about: The other keys of ``recipe.yaml``: licence and source of the corpus.
    """

    directory: Path
    name: str
    system_ref: str
    system_is_target: bool = False
    requires: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, directory: str | Path = ".") -> Recipe:
        """Read ``recipe.yaml``.

        Raises:
            UserError: The folder is not a recipe, or its ``recipe.yaml`` has mistakes (all are listed).
        """
        folder = Path(directory).expanduser().resolve()
        file = folder / RECIPE_FILE
        if not file.is_file():
            raise _not_a_recipe(Path(directory), folder)
        values, lines = _read_mapping(file)
        findings = list(_problems(file, values, lines))
        if findings:
            raise CheckFailed(findings)
        system = values["system"]
        is_target = isinstance(system, dict) and "_target_" in system
        reference = (
            (system["_target_"] if is_target else system["name"]) if isinstance(system, dict) else system
        )
        return cls(
            directory=folder,
            name=values.get("name") or "/".join(folder.parts[-2:]),
            system_ref=reference,
            system_is_target=is_target,
            requires=tuple(values.get("requires") or ()),
            about={key: value for key, value in values.items() if key not in ("name", "system", "requires")},
        )

    @cached_property
    def catalog(self) -> Catalog:
        """Installed components with this recipe's requirements and the hooks of its ``src/plugin.py``."""
        from espnet3_core.catalog import current_catalog

        catalog = current_catalog().with_requires(self.requires)
        if not has_source(self.directory, "plugin"):
            return catalog
        with sources_of(self.directory).activate():
            plugin = self._import("src.plugin")
        if any(loaded.module is plugin for loaded in catalog.manager.plugins):
            return catalog
        return catalog.with_plugin("recipe", plugin, requires=self.requires)

    @cached_property
    def system(self) -> SystemSpec:
        """The system: its stages and roles.

        Raises:
            UserError: It is not installed, or ``src/system.py`` has no such SystemSpec.
        """
        from espnet3_core.specs import SystemSpec

        place = f"{self.directory / RECIPE_FILE}: system"
        if not self.system_is_target:
            found = self.catalog.find("system", self.system_ref, path=place).spec
            assert isinstance(found, SystemSpec)
            return found
        module, _, attribute = self.system_ref.rpartition(".")
        with self.activate():
            system = getattr(self._import(module), attribute, None)
        if not isinstance(system, SystemSpec):
            raise UserError(
                f"{place}: {self.system_ref} is not a SystemSpec",
                hint=f"write {attribute} = SystemSpec(name=…, stages=(…)) in {module.replace('.', '/')}.py",
            )
        return system

    @contextmanager
    def activate(self) -> Iterator[Recipe]:
        """Within a block, ``src`` and ``dataset`` are this recipe's, and so is the catalog."""
        from espnet3_core.catalog import use_catalog

        with sources_of(self.directory).activate(), use_catalog(self.catalog):
            yield self

    def config_file(self, role: str, stem: str | None = None) -> Path:
        """The YAML of a role: ``conf/<stem>.yaml``, where the stem is the role's name unless given.

        Raises:
            UserError: There is no such file.
        """
        stem = stem_of(stem) if stem else role
        file = self.directory / "conf" / f"{stem}.yaml"
        if file.is_file():
            return file
        others = self.stems()
        hint = did_you_mean(stem, others, otherwise=f"there are: {', '.join(others) or 'none'}")
        raise UserError(f"{file}: the configuration of role {role!r} is missing", hint=hint)

    def stems(self, role: str | None = None) -> list[str]:
        """Stems of the files in ``conf/``; with a role, those named after it (``training_small``)."""
        folder = self.directory / "conf"
        found = sorted(
            file.relative_to(folder).with_suffix("").as_posix() for file in folder.glob("**/*.yaml")
        )
        return [stem for stem in found if role is None or stem.rpartition("/")[2].startswith(role)]

    def check_requires(self) -> None:
        """Whether everything that the recipe requires is installed and loads.

        Raises:
            UserError: Something is missing, too old, or broken; the message is the ``pip install`` line.
        """
        missing: list[str] = []
        for text in self.requires:
            name = normalize_distribution(re.split(r"[^A-Za-z0-9._-]", text.strip(), maxsplit=1)[0])
            for failure in self.catalog.failures:
                if failure.entry.distribution == name:
                    raise UserError(f"{self.directory / RECIPE_FILE}: {failure}", hint=failure.hint)
            if not _satisfied(name, text):
                missing.append(text)
        if missing:
            raise UserError(
                f"{self.directory / RECIPE_FILE}: this recipe requires {', '.join(missing)}",
                hint="pip install " + " ".join(f"'{text}'" for text in missing),
            )

    def _import(self, module: str) -> Any:
        import importlib

        try:
            return importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not module.startswith(error.name):
                raise UserError(
                    f"{self.directory / module.replace('.', '/')}.py: {error}",
                    hint=f"install {error.name}, or mend the import",
                ) from error
            raise UserError(
                f"{self.directory / RECIPE_FILE}: there is no {module.replace('.', '/')}.py in the recipe"
            ) from error


def stem_of(text: str) -> str:
    """The stem in what a user may write: ``small``, ``small.yaml``, ``conf/small.yaml``, or a full path."""
    text = text.removesuffix(".yaml").removesuffix(".yml").replace("\\", "/")
    if "conf/" in f"/{text}":
        text = text.rpartition("conf/")[2]
    return text.removeprefix("./")


def _satisfied(name: str, requirement: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    from espnet3_core.discovery import distribution_version

    version = distribution_version(name)
    if version is None:
        return False
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement as error:
        raise UserError(f"recipe.yaml: requires: {requirement!r} is not a requirement ({error})") from error
    return parsed.specifier.contains(version, prereleases=True)


def _read_mapping(file: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """A YAML mapping and the line of each of its keys."""
    import yaml

    try:
        text = file.read_text("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        raise UserError(f"{place}: this is not YAML: {getattr(error, 'problem', error)}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: it is not UTF-8 text: {error}") from error
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        raise UserError(
            f"{file}: a mapping of keys is expected", hint="write at least: system: asr/recognition"
        )
    return values, {key.value: key.start_mark.line + 1 for key, _ in node.value}


def _problems(file: Path, values: Mapping[Any, Any], lines: Mapping[str, int]) -> Iterator[Finding]:
    def finding(key: str, message: str, hint: str | None = None) -> Finding:
        place = f"{file}:{lines[key]}" if key in lines else str(file)
        return Finding(message=message, place=place, key=key, hint=hint)

    for key, value in values.items():
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS, otherwise=f"keys are: {', '.join(_KEYS)}")
            yield finding(str(key), "unknown key", hint)
        elif not _fits(key, value):
            yield finding(key, f"{value!r} does not fit", f"expected {_KEYS[key]}")
    if "system" not in values:
        near = closest("system", [str(key) for key in values if key not in _KEYS])
        hint = f"did you mean it by {near!r}?" if near else "for example: system: asr/recognition"
        yield finding("system", "missing: which stages does the recipe have?", hint)


def _fits(key: str, value: Any) -> bool:
    if key == "system":
        if isinstance(value, dict):
            return set(value) in ({"_target_"}, {"name"}) and all(isinstance(v, str) for v in value.values())
        return isinstance(value, str)
    if key == "requires":
        return value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value))
    if key in ("source", "corpus"):
        return value is None or isinstance(value, str | dict | list)
    return value is None or isinstance(value, str)


def find_recipes(directory: Path, limit: int = 20) -> list[Path]:
    """Recipes below a folder (three levels), beside it, or in a ``recipes`` folder above it."""
    found: dict[Path, None] = {}
    roots = [directory, directory.parent, *(parent / "recipes" for parent in (directory, *directory.parents))]
    patterns: Sequence[str] = (RECIPE_FILE, f"*/{RECIPE_FILE}", f"*/*/{RECIPE_FILE}", f"*/*/*/{RECIPE_FILE}")
    for index, root in enumerate(roots):
        if root == root.parent or not root.is_dir():  # what is below / is no place of recipes, and much
            continue
        for pattern in patterns[: 2 if index == 1 else 4]:
            with suppress(OSError):  # folders that may not be read, or are gone meanwhile
                found.update(dict.fromkeys(file.parent for file in sorted(root.glob(pattern))))
        if found:
            break
    return list(found)[:limit]


def _not_a_recipe(given: Path, folder: Path) -> UserError:
    for parent in folder.parents if folder.is_dir() else ():
        if (parent / RECIPE_FILE).is_file():
            return UserError(
                f"{given} is a folder inside the recipe {parent}, not a recipe", hint=f"use {parent}"
            )
    what = f"it has no {RECIPE_FILE}" if folder.is_dir() else "there is no such folder"
    near = find_recipes(folder if folder.is_dir() else folder.parent)
    best = closest(str(given), [_short(path) for path in near]) if not folder.is_dir() else None
    names = [best] if best else [_short(path) for path in near]
    hint = f"recipes nearby: {', '.join(names)}" if names else "espnet3 new recipe DIR writes one"
    return UserError(f"{given} is not a recipe: {what}", hint=hint)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)
