"""What stands in for the parts of a recipe that a component under test does not bring itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3_core.catalog import current_catalog, use_catalog
from espnet3_core.errors import UserError
from espnet3_core.specs import SearchSpec, TokenizerSpec
from espnet3_core.testing.memory import plugins_of

NAMESPACE = "conformance"


@dataclass(kw_only=True)
class LettersConfig:
    """A tokenizer of letters."""

    size: int = 12
    """Number of tokens."""


class Letters:
    """A tokenizer that needs no training: blank, unknown, letters, sentence boundary.

    Args:
        config: How many tokens there are.
    """

    blank_id = 0
    unk_id = 1

    def __init__(self, config: LettersConfig) -> None:
        if config.size < 4:
            raise UserError(f"a vocabulary of {config.size} tokens leaves no letter; 4 are needed")
        letters = (chr(ord("a") + number) for number in range(config.size - 3))
        self.tokens: Sequence[str] = ("<blank>", "<unk>", *letters, "<sos/eos>")
        self.sos_id = self.eos_id = config.size - 1

    def __len__(self) -> int:
        return len(self.tokens)

    def train(self, texts: Iterable[str]) -> None:
        """Nothing to learn."""

    def save(self, directory: Path) -> None:
        """Write the letters; :meth:`load` does not need them."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "letters.txt").write_text("\n".join(self.tokens), encoding="utf-8")

    def load(self, directory: Path) -> None:
        """Nothing to read."""

    def encode(self, text: str) -> list[int]:
        """One id per character."""
        return [self.tokens.index(letter) if letter in self.tokens else self.unk_id for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        """The letters, without special tokens."""
        special = (self.blank_id, self.unk_id, self.eos_id)
        return "".join(self.tokens[index] for index in ids if index not in special)


class NoSearch:
    """Stands for the search of a model that cannot infer by itself."""

    def infer(self, batch: Any) -> list[dict[str, Any]]:
        """Nothing for every utterance."""
        return [{} for _ in batch["ids"]]


_RECORDS = (
    TokenizerSpec(
        name=f"{NAMESPACE}/letters", target=f"{__name__}:Letters", config=f"{__name__}:LettersConfig"
    ),
    SearchSpec(name=f"{NAMESPACE}/none", target=f"{__name__}:NoSearch"),
)


@contextmanager
def stand_ins() -> Iterator[None]:
    """Add them to the current catalog within a block."""
    with use_catalog(current_catalog().with_plugin(NAMESPACE, plugins_of(*_RECORDS)[NAMESPACE])):
        yield
