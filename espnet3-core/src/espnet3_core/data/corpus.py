"""Builders of public corpora: where a corpus is on this machine, and how it gets there."""

from __future__ import annotations

import csv
import os
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar

from espnet3_core.data.archive import extract
from espnet3_core.data.builder import MARKER, DatasetBuilder
from espnet3_core.data.download import download
from espnet3_core.errors import UserError


class CorpusBuilder(DatasetBuilder):
    """A builder whose corpus is given by its folder, lies in ``$ESPNET3_CORPORA``, or is downloaded.

    Subclasses say by :meth:`source_in` what the corpus looks like, get it in ``prepare_source``, for which
    :meth:`fetch` is there, and read :meth:`source` in ``build``.

    Attributes:
        title: Its name in messages.
        folder: Where it is in ``$ESPNET3_CORPORA``.
        unpacked: Folder that its archive unpacks to.
        wanted: A file or two by which it is known, for the message.

    Args:
        corpus: The folder; None looks in ``$ESPNET3_CORPORA`` and then in the recipe's ``download``.
        recipe_dir: The recipe; manifests go to its ``data``.
    """

    title: ClassVar[str]
    folder: ClassVar[str]
    unpacked: ClassVar[str] = "."
    wanted: ClassVar[str]

    def __init__(self, corpus: str | None = None, *, recipe_dir: Path) -> None:
        self.corpus = corpus
        self.recipe_dir = Path(recipe_dir)
        self.download_dir = self.recipe_dir / "download"
        self.output = self.recipe_dir / "data"

    @abstractmethod
    def source_in(self, folder: Path) -> Path | None:
        """The corpus in a folder: the folder or one in it; None where it is not."""

    def is_source_prepared(self) -> bool:
        """Whether the corpus is on this machine."""
        return self.find() is not None

    def find(self) -> Path | None:
        """The corpus: the given one, the shared one, the downloaded one; None where there is none.

        Raises:
            UserError: The given folder does not hold it.
        """
        if self.corpus is not None:
            found = self.source_in(self.recipe_dir / Path(self.corpus).expanduser())
            if found is None:
                raise UserError(
                    f"training.dataset.builder.corpus: no {self.title} in {self.corpus}",
                    hint=f"give the folder that holds {self.wanted}",
                )
            return found.resolve()
        shared = os.environ.get("ESPNET3_CORPORA")
        folders = [Path(shared).expanduser() / self.folder] if shared else []
        folders.append(self.download_dir / self.unpacked)
        return next((found.resolve() for place in folders if (found := self.source_in(place))), None)

    def is_built(self) -> bool:
        """As of any builder; where the corpus is out of sight, what was built of it stays."""
        return super().is_built() if self.settings() else (self.output / MARKER).is_file()

    def source(self) -> Path:
        """The corpus.

        Raises:
            UserError: It is not on this machine.
        """
        found = self.find()
        if found is None:
            raise UserError(f"{self.title} is not on this machine", hint="run the stage create_dataset")
        return found

    def fetch(self, address: str, name: str, *, sha256: str | None = None, otherwise: str = "") -> None:
        """Download an archive and unpack it; an interrupted download is continued.

        Args:
            address: Where it is.
            name: Its name in ``download``.
            sha256: Checksum of the archive.
            otherwise: What else a user without it can do, for the message.

        Raises:
            UserError: It cannot be had, or the corpus is not in it.
        """
        try:
            archive = download(address, self.download_dir / name, sha256=sha256)
            extract(archive, self.download_dir)
        except UserError as error:
            raise UserError(
                f"{self.title} is neither at $ESPNET3_CORPORA/{self.folder} nor can it be downloaded: "
                f"{error.message}",
                hint="give its folder by training.dataset.builder.corpus=FOLDER" + otherwise,
            ) from error
        if self.find() is None:
            raise UserError(
                f"{archive}: there is no {self.title} in it: {self.wanted} is missing",
                hint="delete it and run again",
            )


def read_table(path: Path, *columns: str) -> list[dict[str, str]]:
    """Rows of a file of tab-separated values with a header; what a short row lacks is empty.

    Args:
        path: The file, UTF-8.
        columns: Headers that have to be there.

    Raises:
        UserError: It cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE, restval="")
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}:1: there is no column {', '.join(missing)}")
            return list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read: {error}", hint="it has to be a file of UTF-8 text"
        ) from None
