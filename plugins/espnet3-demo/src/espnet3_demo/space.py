"""A folder for a Hugging Face Space: program, pinned requirements, card, and the bundle or its address."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from espnet3_core.bundle.manifest import Manifest, read_manifest
from espnet3_core.config.roles import DemoConfig
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_json, atomic_write_text, disk_errors, make_directory

SETTINGS = "demo.json"
BUNDLE = "bundle"
_APP = '''"""The page of this folder: ``python app.py`` runs it."""

from espnet3_demo.app import main

main(__file__)
'''
_CPU_WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"
_KEPT = ("title", "description", "max_seconds", "max_mb", "max_characters")


def write_space(demo: DemoConfig, bundle: Path, directory: Path, *, recipe: Path) -> None:
    """Fill a folder; equal bundles, configurations and installed versions give equal bytes.

    Args:
        demo: What the page shall be.
        bundle: A checked bundle.
        directory: An empty folder.
        recipe: Where the own page's ``src`` lies.

    Raises:
        UserError: The disk is full, or something that has to be pinned is not installed.
    """
    manifest = read_manifest(bundle)
    settings: dict[str, Any] = {name: getattr(demo, name) for name in _KEPT}
    settings["bundle"] = demo.bundle or BUNDLE
    settings["page"] = demo.page.to_node() if demo.page else None
    with disk_errors(directory):
        if demo.bundle is None:
            _copy(bundle, directory / BUNDLE)
        if demo.page is not None and demo.page.target is not None:
            _copy(recipe / "src", directory / "src")
    atomic_write_json(directory / SETTINGS, settings)
    atomic_write_text(directory / "app.py", _APP)
    atomic_write_text(directory / "requirements.txt", "".join(f"{x}\n" for x in requirements(manifest, demo)))
    atomic_write_text(directory / "README.md", card(manifest, demo))


def _copy(source: Path, target: Path) -> None:
    """Plain files below a folder, without what programs leave."""
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in name.parts):
            make_directory((target / name).parent)
            shutil.copyfile(path, target / name)


def requirements(manifest: Manifest, demo: DemoConfig) -> list[str]:
    """Lines of ``requirements.txt``: what the page runs on here, and what that asks for, in exact versions.

    Raises:
        UserError: A distribution is not installed.
    """
    needed = {*manifest.requirements, "espnet3-core", "espnet3-demo"}
    if demo.page is not None and demo.page.name is not None:
        from espnet3_core.build import registered_of

        needed.add(registered_of(demo.page).provider.distribution)
    pins = {name: _version(name) for name in needed | {part for name in needed for part in _asked_for(name)}}
    lines = [f"{name}=={pins[name]}" for name in sorted(pins)]
    return [_CPU_WHEELS, *lines] if pins.get("torch", "").endswith("+cpu") else lines


def _asked_for(name: str) -> Iterator[str]:
    """Distributions that an installed one needs here, extras left out."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    _version(name)
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        raise UserError(
            f"{name} is not installed, so its version cannot be pinned", hint=f"pip install {name}"
        ) from None


def card(manifest: Manifest, demo: DemoConfig) -> str:
    """``README.md``: the front matter that Spaces read, and a line for people."""
    import yaml

    title = demo.title or manifest.title or manifest.system
    values: dict[str, Any] = {
        "title": title,
        "emoji": "🎙️",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": _version("gradio"),
        "python_version": f"{sys.version_info.major}.{sys.version_info.minor}",
        "app_file": "app.py",
        "pinned": False,
        "tags": ["espnet3", manifest.system.partition("/")[0]],
    }
    if manifest.license:
        values["license"] = manifest.license.lower()
    if demo.bundle and (match := re.match(r"hf://([^/@]+/[^/@]+)", demo.bundle)):
        values["models"] = [match[1]]
    head = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    text = f"{demo.description}\n\n" if demo.description else ""
    return f"---\n{head}---\n\n# {title}\n\n{text}`pip install -r requirements.txt`, then `python app.py`.\n"


def read_settings(directory: Path) -> DemoConfig:
    """The configuration of a folder that :func:`write_space` wrote.

    Raises:
        UserError: It has none, or a wrong one.
    """
    from espnet3_core.config.schema import validate

    path = directory / SETTINGS
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}", hint="run the stage pack_demo again") from None
    found: DemoConfig = validate(DemoConfig, values, "demo")
    return found
