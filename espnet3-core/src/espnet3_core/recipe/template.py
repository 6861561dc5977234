"""Makes a recipe from a template: files with ``{{name}}`` in them, and a function that knows the values.

A plugin's ``prepare(directory, data, options)`` is called with the folder that becomes the recipe, where it
may write files of its own. It returns values for the placeholders; the value of ``notes`` is told to the
user, one line each, and stands in no file.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from espnet3_core.catalog import current_catalog
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text, new_directory, refuse_contents
from espnet3_core.names import did_you_mean
from espnet3_core.specs import RecipeTemplateSpec

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")


def create_recipe(
    directory: Path, *, system: str | None = None, data: str | None = None, test: str | None = None
) -> list[str]:
    """Write a recipe; the folder appears when it is complete.

    Args:
        directory: Folder to make.
        system: System of the recipe; None where only one template is installed.
        data: The user's data.
        test: The user's test data; None splits ``data``.

    Returns:
        What the user should know about the choices made, line by line.

    Raises:
        UserError: The folder exists, the system has no template, or the data are not usable.
    """
    refuse_contents(directory)
    template = find_template(system)
    with new_directory(directory) as work:
        options = {"system": template.system, "name": directory.resolve().name, "test": test}
        values = prepare(template, work, data, options)
        write_files(template, work, {**options, **values})
    return str(values["notes"]).splitlines() if values.get("notes") else []


def find_template(system: str | None) -> RecipeTemplateSpec:
    """The template for a system.

    Raises:
        UserError: There is none, or several while ``system`` is None.
    """
    templates = [template for template, _ in current_catalog().recipe_templates()]
    systems = sorted({template.system for template in templates})
    if not systems:
        raise UserError("no installed plugin brings a recipe template", hint="pip install espnet3-asr")
    if system is None:
        if len(systems) > 1:
            raise UserError("which system?", hint=f"--system {' or '.join(systems)}")
        system = systems[0]
    for template in templates:
        if template.system == system:
            return template
    raise UserError(
        f"no installed plugin brings a recipe template for the system {system!r}",
        hint=did_you_mean(system, systems, otherwise=f"there are: {', '.join(systems)}"),
    )


def prepare(
    template: RecipeTemplateSpec, directory: Path, data: str | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Values of the placeholders, from the plugin's function."""
    if template.prepare is None:
        return {}
    module, _, function = template.prepare.partition(":")
    values = getattr(importlib.import_module(module), function)(directory, data, options)
    return dict(values or {})


def write_files(template: RecipeTemplateSpec, directory: Path, values: Mapping[str, Any]) -> None:
    """Copy the template's files with their placeholders filled in.

    Raises:
        UserError: A placeholder has no value: the template and its function do not fit.
    """
    package, _, folder = template.path.partition(":")
    for name, source in walk(files(package).joinpath(folder)):
        text = filled(source.read_text("utf-8"), values, f"template {template.path}: {name}")
        atomic_write_text(directory / name, text)


def filled(text: str, values: Mapping[str, Any], where: str) -> str:
    """A text with its placeholders replaced.

    Raises:
        UserError: A placeholder has no value.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UserError(f"{where} asks for {match[1]!r}, which has no value")
        return str(values[match[1]])

    return _PLACEHOLDER.sub(value, text)


def walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    """Files below a folder of a package, with their paths in it."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from walk(entry, f"{prefix}{entry.name}/")
        elif not entry.name.endswith(".pyc"):
            yield f"{prefix}{entry.name}", entry
