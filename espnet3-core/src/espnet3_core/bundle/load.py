"""Loading: a bundle as a function from audio or text to results. It holds names, never code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from espnet3_core.bundle.check import check_bundle, check_config
from espnet3_core.bundle.limits import DEFAULT_LIMITS, Limits
from espnet3_core.bundle.manifest import Manifest
from espnet3_core.bundle.model import LoadedModel
from espnet3_core.bundle.source import local_bundle
from espnet3_core.errors import UserError


def load(
    source: str | os.PathLike[str],
    *,
    device: str = "auto",
    verify: bool = True,
    limits: Limits = DEFAULT_LIMITS,
    search: Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Open a bundle.

    Example::

        model = espnet3_core.load("exp/training/bundle")
        print(model("audio.wav").text)

    Args:
        source: A folder, a zip or tar, ``https://…#sha256=…``, or an address of a plugin
            (``hf://org/name@revision``). What was fetched once is not fetched again.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
        verify: Compare every file with its hash in the manifest; all other checks are made always.
        limits: How large it may be.
        search: Options of the bundle's search that are to be otherwise: ``{"beam_size": 1}``.

    Raises:
        UserError: It is not a bundle, is damaged or refused, needs plugins that are not installed, or a
            newer core; it has no search, and options of one are given.
    """
    directory = local_bundle(os.fspath(source), limits)
    manifest = check_bundle(directory, limits, hashes=verify)
    require_plugins(directory, manifest)
    config = check_config(directory, limits)
    if search:
        if config.search is None:
            raise UserError(
                f"{directory}: was packed without a search, and so has no {', '.join(search)}",
                hint="set inference.search in the recipe, and pack the model again",
            )
        config.search = replace(config.search, options={**config.search.options, **search})
    return LoadedModel(directory, manifest, config, device)


def require_plugins(directory: Path, manifest: Manifest) -> None:
    """Refuse when a distribution that provides components is absent, or of a version that cannot load it."""
    from packaging.specifiers import SpecifierSet

    from espnet3_core.catalog import current_catalog

    catalog = current_catalog()
    installed = {plugin.entry.distribution: plugin.entry.version for plugin in catalog.manager.plugins}
    needed = manifest.requirements
    missing = sorted(needed.keys() - installed.keys())
    if failure := next((f for f in catalog.failures if f.entry.distribution in missing), None):
        raise UserError(f"{directory}: needs a plugin that is broken: {failure}", hint=failure.hint)
    others = [
        name
        for name in sorted(needed.keys() & installed.keys())
        if not SpecifierSet(needed[name]).contains(installed[name], prereleases=True)
    ]
    if missing or others:
        problems = [f"{name}, which is not installed" for name in missing]
        problems += [f"{name}{needed[name]}, and {installed[name]} is installed" for name in others]
        lines = " ".join(f"'{name}{needed[name]}'" for name in [*missing, *others])
        raise UserError(f"{directory}: needs {'; '.join(problems)}", hint=f"pip install {lines}")
