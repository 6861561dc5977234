"""``core/directory``: bundles are copied to a folder."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from espnet3_core.bundle.config import DirectoryConfig
from espnet3_core.bundle.manifest import MANIFEST
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open, sha256_file

_log = logging.getLogger(__name__)


class DirectoryPublisher:
    """Copies the files of a bundle to a folder, and removes nothing from it.

    Args:
        config: The folder.
        recipe_dir: Folder that a relative path starts from; None for the working directory.
    """

    def __init__(self, config: DirectoryConfig, *, recipe_dir: Path | None = None) -> None:
        self.config = config
        self.target = Path(recipe_dir or ".") / Path(config.path).expanduser()

    def publish(self, bundle: Path, *, dry_run: bool = False) -> str:
        """Copy what is new; the manifest comes last, so that a copy that broke off is not taken for a bundle.

        Args:
            bundle: The folder of the bundle.
            dry_run: Log which files would be copied, and touch nothing.

        Returns:
            Path of the folder.

        Raises:
            UserError: Files with other contents are in the way, or the folder cannot be written.
        """
        files = sorted(
            (path for path in bundle.rglob("*") if path.is_file()),
            key=lambda path: (path.name == MANIFEST, path),
        )
        wanted = [path for path in files if not _same(path, self.target / path.relative_to(bundle))]
        in_the_way = [path for path in wanted if os.path.lexists(self.target / path.relative_to(bundle))]
        if in_the_way and not self.config.overwrite:
            names = ", ".join(path.relative_to(bundle).as_posix() for path in in_the_way)
            raise UserError(
                f"{self.target}: holds other contents already: {names}",
                hint="choose another publication.upload.path, or set publication.upload.overwrite: true",
            )
        for path in wanted:
            name = path.relative_to(bundle)
            _log.info("%s %s (%d bytes)", "would copy" if dry_run else "copying", name, path.stat().st_size)
            if not dry_run:
                with open(path, "rb") as source, atomic_open(self.target / name, "wb") as copy:
                    shutil.copyfileobj(source, copy)
        return str(self.target)


def _same(left: Path, right: Path) -> bool:
    return (
        right.is_file()
        and left.stat().st_size == right.stat().st_size
        and sha256_file(left) == sha256_file(right)
    )
