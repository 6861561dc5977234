"""Prepares LibriSpeech (OpenSLR 12): manifests of the parts that the recipe uses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from espnet3_core.data.archive import extract
from espnet3_core.data.builder import DatasetBuilder
from espnet3_core.data.download import download
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_text

ARCHIVE = "https://www.openslr.org/resources/12/{part}.tar.gz"
CHECKSUMS = {
    "train-clean-100": "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    "train-clean-360": "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    "train-other-500": "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    "dev-clean": "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    "dev-other": "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    "test-clean": "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    "test-other": "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
}
"""sha256 of the archives."""
PARTS = ("train-clean-100", "dev-clean", "dev-other", "test-clean", "test-other")


class LibriSpeechBuilder(DatasetBuilder):
    """One manifest per part: ``data/train-clean-100.tsv``, ``data/dev-clean.tsv`` …

    Audio stays where it is. The corpus is looked for at ``corpus``, at ``$LIBRISPEECH`` and at
    ``$ESPNET3_CORPORA/LibriSpeech``, then in ``download``; parts that are nowhere are downloaded from
    OpenSLR and verified by their checksums.

    Args:
        corpus: Folder ``LibriSpeech``, or its parent.
        parts: Parts to prepare.
        recipe_dir: The recipe.
    """

    def __init__(self, corpus: str | None = None, parts: Sequence[str] = PARTS, *, recipe_dir: Path) -> None:
        unknown = [part for part in parts if part not in CHECKSUMS]
        if unknown:
            raise UserError(
                f"training.dataset.builder.parts: LibriSpeech has no part {', '.join(unknown)}",
                hint=f"parts are: {', '.join(CHECKSUMS)}",
            )
        self.corpus = corpus
        self.parts = tuple(parts)
        self.recipe_dir = Path(recipe_dir)
        self.download_dir = self.recipe_dir / "download"
        self.output = self.recipe_dir / "data"

    def is_source_prepared(self) -> bool:
        """Whether every part is on this machine."""
        return all(self._find(part) for part in self.parts)

    def prepare_source(self) -> None:
        """Download the missing parts; an interrupted download is continued."""
        missing = [part for part in self.parts if self._find(part) is None]
        if self.corpus is not None and missing:
            raise UserError(
                f"training.dataset.builder.corpus: {self.corpus} lacks {', '.join(missing)}",
                hint="give the folder that holds them, or leave the key out to download them",
            )
        for part in missing:
            archive = self.download_dir / f"{part}.tar.gz"
            extract(download(ARCHIVE.format(part=part), archive, sha256=CHECKSUMS[part]), self.download_dir)

    def settings(self) -> Mapping[str, object]:
        """The parts and where they are."""
        return {"parts": {part: str(self._find(part)) for part in self.parts}}

    def build(self) -> None:
        """Scan the parts; manifests that an interrupted run has finished are kept."""
        with self.building() as folder:
            for part in self.parts:
                source = self._find(part)
                if source is None:
                    raise UserError(f"LibriSpeech {part} is not on this machine", hint="run create_dataset")
                manifest = folder / f"{part}.tsv"
                if not manifest.is_file():
                    lines = ["id\tpath\ttext\tspeaker", *("\t".join(row) for row in utterances(source))]
                    atomic_write_text(manifest, "\n".join(lines) + "\n")

    def _find(self, part: str) -> Path | None:
        """The folder of a part."""
        if self.corpus is not None:
            folders = [self.recipe_dir / Path(self.corpus).expanduser()]
        else:
            named = [os.environ.get("LIBRISPEECH"), os.environ.get("ESPNET3_CORPORA")]
            folders = [Path(name).expanduser() for name in named if name] + [self.download_dir]
        for folder in folders:
            for candidate in (folder / part, folder / "LibriSpeech" / part):
                if candidate.is_dir():
                    return candidate.resolve()
        return None


def utterances(part: Path) -> Iterator[tuple[str, str, str, str]]:
    """Id, audio file, text and speaker of each utterance of ``<part>/<speaker>/<chapter>``.

    Raises:
        UserError: The folder holds no transcripts, or an utterance has no audio.
    """
    transcripts = sorted(part.glob("*/*/*.trans.txt"))
    if not transcripts:
        raise UserError(
            f"{part}: no transcripts in it", hint="expected <speaker>/<chapter>/<speaker>-<chapter>.trans.txt"
        )
    for transcript in transcripts:
        for number, line in enumerate(transcript.read_text("utf-8").splitlines(), 1):
            if not line.strip():
                continue
            name, _, text = line.strip().partition(" ")
            audio = transcript.parent / f"{name}.flac"
            if not audio.is_file():
                raise UserError(f"{transcript}:{number}: {audio} is missing", hint="unpack the whole archive")
            yield name, str(audio), text.strip(), transcript.parent.parent.name
