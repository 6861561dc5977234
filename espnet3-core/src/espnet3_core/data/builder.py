"""Preparing a corpus in four steps: is the source there? get it; is the dataset built? build it."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from espnet3_core.data.lock import file_lock
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_json, disk_errors, file_digest, make_directory, sync_directory

_log = logging.getLogger(__name__)
MARKER = ".espnet3-built.json"
"""Written into a finished dataset: hash of the settings that made it."""


class DatasetBuilder(ABC):
    """Prepares one corpus. Subclasses set ``output`` and fill in the steps.

    Any step may be interrupted at any moment and the same command run again: :func:`run_builder` asks
    before each step whether it is needed. :meth:`building` gives :meth:`build` a folder that takes the name
    ``output`` only when complete.

    Example::

        class Digits(DatasetBuilder):
            def __init__(self, corpus: str, *, recipe_dir: Path) -> None:
                self.corpus = Path(corpus)
                self.output = recipe_dir / "data"

            def settings(self):
                return {"version": 1, "corpus": str(self.corpus)}

            def is_source_prepared(self):
                return self.corpus.is_dir()

            def prepare_source(self):
                extract(download(URL, self.corpus.parent / "digits.tar.gz", sha256=SUM), self.corpus)

            def build(self):
                with self.building() as folder:
                    atomic_write_text(folder / "train.tsv", ...)

    Attributes:
        output: Folder of the finished dataset.
    """

    output: Path

    def settings(self) -> Mapping[str, Any]:
        """What decides the content of the dataset, as JSON values; a change means building again."""
        return {}

    @abstractmethod
    def is_source_prepared(self) -> bool:
        """Whether the corpus is on this machine."""

    @abstractmethod
    def prepare_source(self) -> None:
        """Get the corpus, or say where to get it."""

    def is_built(self) -> bool:
        """Whether ``output`` is complete and was made with the present :meth:`settings`."""
        try:
            marker = json.loads((Path(self.output) / MARKER).read_text("utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(marker, dict) and marker.get("settings_hash") == self.settings_hash()

    @abstractmethod
    def build(self) -> None:
        """Make the dataset from the corpus."""

    def settings_hash(self) -> str:
        """Hash of the builder's class and :meth:`settings`."""
        text = json.dumps([type(self).__qualname__, self.settings()], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A folder to build in; it becomes ``output`` when the block has ended well.

        What an interrupted run with the same settings has left is still in it; with other settings it is
        empty. A former ``output`` stays whole until the new one takes its place.
        """
        output = Path(self.output)
        partial, former = (output.with_name(f".{output.name}.{tail}") for tail in ("partial", "former"))
        with disk_errors(output):
            left = partial / ".settings"
            if not left.is_file() or left.read_text("utf-8") != self.settings_hash():
                shutil.rmtree(partial, ignore_errors=True)
            make_directory(partial)
            left.write_text(self.settings_hash(), "utf-8")
            yield partial
            left.unlink()
            atomic_write_json(
                partial / MARKER, {"settings_hash": self.settings_hash(), "settings": dict(self.settings())}
            )
            shutil.rmtree(former, ignore_errors=True)
            if output.exists():
                output.rename(former)
            partial.rename(output)
            sync_directory(output.parent)
            shutil.rmtree(former, ignore_errors=True)


def run_builder(builder: DatasetBuilder) -> bool:
    """Run the steps that are needed; one process at a time.

    Returns:
        Whether anything was built.

    Raises:
        UserError: Another process is at it, the corpus cannot be had, or a step did not do what it is for.
    """
    name = type(builder).__name__
    output = Path(builder.output)
    with file_lock(output.parent / f".{output.name}.lock"):
        # What is built needs no source: the corpus may have been moved away since.
        if builder.is_built():
            _log.info("%s: %s is up to date", name, output)
            return False
        if builder.is_source_prepared():
            _log.info("%s: the corpus is there", name)
        else:
            _log.info("%s: getting the corpus", name)
            builder.prepare_source()
            if not builder.is_source_prepared():
                raise UserError(
                    f"{name}: the corpus is still not there after prepare_source()",
                    hint="is_source_prepared() looks elsewhere, or the source is not complete",
                )
        _log.info("%s: building %s", name, output)
        builder.build()
        if not builder.is_built():
            raise UserError(
                f"{name}: {output} is not complete after build()",
                hint="build() writes what is_built() looks for; `with self.building()` does it for you",
            )
    return True


def verify_checksum(
    path: str | Path, *, sha256: str | None = None, md5: str | None = None, hint: str | None = None
) -> None:
    """Compare a file with its published checksum.

    Args:
        path: The file.
        sha256: Hexadecimal SHA-256 wanted.
        md5: Hexadecimal MD5 wanted.
        hint: What to do when it differs.

    Raises:
        UserError: The file is missing, or its checksum differs.
    """
    for algorithm, wanted in (("sha256", sha256), ("md5", md5)):
        if wanted is None:
            continue
        try:
            found = file_digest(path, algorithm)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}", hint=hint) from error
        if found != wanted.lower():
            raise UserError(
                f"{path} is damaged or another version: {algorithm} {found}, expected {wanted.lower()}",
                hint=hint or "delete it and get it again",
            )
