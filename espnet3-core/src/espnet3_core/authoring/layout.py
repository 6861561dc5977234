"""What a plugin's folder holds: its project file, its entry point, its package."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3_core.discovery import GROUP
from espnet3_core.errors import UserError


@dataclass(frozen=True)
class Layout:
    """A plugin package that is being written.

    Attributes:
        directory: Its folder.
        project: Its ``pyproject.toml``, read.
        namespace: Name of its entry point.
        module: Module that the entry point names.
        source: Folder that ``import`` finds its package in.
    """

    directory: Path
    project: dict[str, Any]
    namespace: str
    module: str
    source: Path

    @classmethod
    def read(cls, directory: Path) -> Layout:
        """Read a folder.

        Raises:
            UserError: It is no plugin, or its entry point names no module in it.
        """
        file = directory / "pyproject.toml"
        if not file.is_file():
            raise UserError(
                f"{directory} has no pyproject.toml, so it is no plugin",
                hint="espnet3 plugin new NAME writes one; espnet3 plugin check DIR takes its folder",
            )
        try:
            project = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: this is not TOML: {error}") from error
        points = project.get("project", {}).get("entry-points", {}).get(GROUP, {})
        if len(points) != 1:
            told = f"names {', '.join(points)}" if points else "has none"
            raise UserError(
                f'{file}: a plugin has one entry point in the group "{GROUP}", and this one {told}',
                hint=f'[project.entry-points."{GROUP}"], and below it: acme = "espnet3_acme._plugin"',
            )
        ((namespace, value),) = points.items()
        module = str(value).partition(":")[0]
        for source in (directory / "src", directory):
            if _file_of(source, module) is not None:
                return cls(directory, project, namespace, module, source)
        raise UserError(
            f"{file}:{line_of(file, str(value))}: there is no module {module} below {directory}/src",
            hint="write it, or mend the entry point",
        )

    @property
    def package(self) -> str:
        """Name of its package."""
        return self.module.partition(".")[0]

    def file_of(self, module: str) -> Path | None:
        """The file of one of its modules; None where it has no such module."""
        return _file_of(self.source, module)

    def files(self) -> list[Path]:
        """All Python files of its package."""
        return sorted((self.source / self.package).rglob("*.py"))


def _file_of(source: Path, module: str) -> Path | None:
    path = source.joinpath(*module.split("."))
    found = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in found if file.is_file()), None)


def line_of(file: Path, text: str) -> int:
    """Number of the first line that holds a text; 1 where none does."""
    lines = file.read_text("utf-8").splitlines()
    return next((number for number, line in enumerate(lines, 1) if text in line), 1)
