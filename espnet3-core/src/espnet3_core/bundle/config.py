"""Configuration of core's publishers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class DirectoryConfig:
    """A folder to copy bundles to."""

    path: str
    """The folder; relative to the recipe. It is made when it does not exist."""
    overwrite: bool = False
    """Replace files of the same name that have other contents; otherwise they stop the upload."""
