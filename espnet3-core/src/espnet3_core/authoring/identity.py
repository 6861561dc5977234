"""The name of a new plugin, what follows from it, and which names cannot be had."""

from __future__ import annotations

import datetime
import keyword
import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from espnet3_core.discovery import distribution_version, installed_entries
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean

OWN_NAMES = ("asr", "core", "dask", "demo", "enh", "hf", "hub", "lm", "serve", "speech", "st", "tts", "vc")
"""Names of this project's own packages, those to come included: they are on the index under these names."""
_RESERVED = ("recipe", "src", "dataset", "all", "plugin", "test", "tests")
"""Words that mean something else where a namespace may stand."""
LICENSES = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-3-clause": "BSD-3-Clause",
    "none": "",
}
"""Choices of ``--license``, and how packages spell them."""


@dataclass(frozen=True)
class Identity:
    """What a new package is called.

    Attributes:
        namespace: Namespace of its components.
        license: A key of :data:`LICENSES`.
        author: Who holds the copyright.
    """

    namespace: str
    license: str = "apache-2.0"
    author: str = ""

    def __post_init__(self) -> None:
        refuse_name(self.namespace)
        if self.license not in LICENSES:
            choices = ", ".join(LICENSES)
            hint = did_you_mean(
                self.license, LICENSES, otherwise=f"choices are: {choices}; none adds no file"
            )
            raise UserError(f"there is no licence text for {self.license!r}", hint=hint)

    @property
    def distribution(self) -> str:
        """Name for ``pip install``."""
        return f"espnet3-{self.namespace}".replace("_", "-")

    @property
    def package(self) -> str:
        """Name for ``import``."""
        return f"espnet3_{self.namespace}"

    @cached_property
    def core_requirement(self) -> str:
        """The range of core that the package is written for."""
        major, minor = (distribution_version("espnet3-core") or "0.1").split(".")[:2]
        last = f"0.{int(minor) + 1}" if major == "0" else str(int(major) + 1)
        return f"espnet3-core>={major}.{minor},<{last}"

    def license_text(self) -> str | None:
        """The text of the licence; None for no licence."""
        if self.license == "none":
            return None
        text = files(__package__).joinpath("templates", "licenses", f"{self.license}.txt").read_text("utf-8")
        holder = self.author or f"the authors of {self.distribution}"
        return text.replace("{{year}}", str(datetime.date.today().year)).replace("{{author}}", holder)

    def directory(self, chosen: Path | None) -> Path:
        """Folder of the package."""
        return chosen if chosen is not None else Path(self.distribution)


def refuse_name(name: str) -> None:
    """Make sure that a plugin can be called so.

    Raises:
        UserError: It is no name, means something else, or is taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name.endswith("_") or "__" in name:
        rule = "lower-case letters, digits and single _, a letter first, such as acme or my_lab"
        guess = re.sub(r"[^a-z0-9]+", "_", name.lower().removeprefix("espnet3")).strip("_0123456789")
        hint = f"{rule}; for example {guess}" if guess else rule
        raise UserError(f"{name!r} cannot be the name of a plugin", hint=hint)
    if name in OWN_NAMES or name.startswith("espnet"):
        raise UserError(
            f"{name!r} is the name of a package of espnet3 itself", hint="choose another, such as my_lab"
        )
    if name in _RESERVED or keyword.iskeyword(name):
        raise UserError(f"{name!r} has another meaning in recipes", hint="choose another, such as my_lab")
    for entry in installed_entries():
        if entry.namespace == name:
            raise UserError(
                f"the namespace {name!r} is taken by {entry.distribution} {entry.version}",
                hint=f"choose another, or pip uninstall {entry.distribution}",
            )
    if find_spec(f"espnet3_{name}") is not None:
        raise UserError(f"a module espnet3_{name} is installed already", hint="choose another name")
