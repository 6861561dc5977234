"""SentencePiece tokenizers: byte-pair encoding and the unigram language model."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError

from espnet3_asr.tokenizers.base import BaseTokenizer
from espnet3_asr.tokenizers.config import SubwordTokenizerConfig

MODEL_FILE = "sentencepiece.model"
OUTER_TOKENS = 2
"""Blank and sentence boundary, which SentencePiece does not know of."""


class SubwordTokenizer(BaseTokenizer):
    """Pieces of words.

    SentencePiece's own vocabulary is ``<unk>`` and the pieces; our ids are one higher, after the blank,
    and the sentence boundary comes last. Training reads and writes memory only, so that runs on one
    machine cannot disturb each other, and uses one thread, so that equal text gives equal bytes.
    """

    model_type: str

    def __init__(self, config: SubwordTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self._model = b""
        self._processor: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_processor": None}

    @property
    def processor(self) -> Any:
        """The ``sentencepiece.SentencePieceProcessor``."""
        if self._processor is None:
            from sentencepiece import SentencePieceProcessor

            self._require_ready()
            self._processor = SentencePieceProcessor(model_proto=self._model)
        return self._processor

    def normalize(self, text: str) -> str:
        """SentencePiece's normalization (``config.normalization``) and single spaces."""
        return " ".join(self.processor.normalize(text).replace("\u2581", " ").split())

    def train(self, texts: Iterable[str]) -> None:
        """Learn the pieces.

        Raises:
            UserError: There is no text, or ``vocab_size`` is too large or too small for it: the message
                names the limit.
        """
        from sentencepiece import SentencePieceTrainer

        sentences = [cleaned for text in texts if (cleaned := " ".join(text.split()))]
        if not sentences:
            raise UserError("the tokenizer's training text is empty", hint="check the texts of dataset.train")
        written = io.BytesIO()
        try:
            SentencePieceTrainer.train(
                sentence_iterator=_once(sentences),
                model_writer=written,
                vocab_size=self.config.vocab_size - OUTER_TOKENS,
                model_type=self.model_type,
                character_coverage=self.config.character_coverage,
                user_defined_symbols=list(self.config.user_symbols),
                normalization_rule_name=self.config.normalization,
                byte_fallback=self.config.byte_fallback,
                input_sentence_size=self.config.sample_sentences,
                shuffle_input_sentence=self.config.sample_sentences > 0,
                # Longer sentences would be left out without a word.
                max_sentence_length=max(4192, *(4 * len(sentence) + 1 for sentence in sentences)),
                num_threads=1,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise self._explain(error) from None
        self._set_model(written.getvalue(), place="tokenizer")

    def _explain(self, error: RuntimeError) -> UserError:
        size = self.config.vocab_size
        text = str(error)
        most = re.search(r"too high \(\d+\)\. Please set it to a value <= (\d+)", text)
        if most:
            limit = int(most[1]) + OUTER_TOKENS
            return UserError(
                f"tokenizer.vocab_size {size} is too large for the training text: {limit} is the maximum",
                hint=f"set tokenizer.vocab_size to {limit} or less, or use asr/char",
            )
        least = re.search(r"smaller than required_chars\. \d+ vs (\d+)", text)
        if least:
            limit = int(least[1]) + OUTER_TOKENS
            return UserError(
                f"tokenizer.vocab_size {size} is too small: the characters of the training text need {limit}",
                hint=f"set tokenizer.vocab_size to {limit} or more, or lower tokenizer.character_coverage",
            )
        return UserError(
            f"SentencePiece cannot train the tokenizer: {text}",
            hint="look at the training text; another tokenizer.vocab_size, or asr/char, may do",
        )

    def _set_model(self, model: bytes, *, place: str) -> None:
        from sentencepiece import SentencePieceProcessor

        processor = SentencePieceProcessor()
        try:
            processor.LoadFromSerializedProto(model)
        except (RuntimeError, OSError) as error:
            raise UserError(
                f"{place}: is not a SentencePiece model ({error})",
                hint="train the tokenizer again: --stages train_tokenizer --force",
            ) from None
        pieces = [processor.id_to_piece(index) for index in range(1, processor.get_piece_size())]
        self._set_tokens(pieces, place=place)
        self._model = model
        self._processor = processor

    def save(self, directory: Path) -> None:
        """Write ``sentencepiece.model`` and, to be read by people, ``tokens.txt``."""
        super().save(directory)
        (directory / MODEL_FILE).write_bytes(self._model)

    def load(self, directory: Path) -> None:
        """Read what :meth:`save` wrote."""
        path = directory / MODEL_FILE
        if not path.is_file():
            raise UserError(
                f"{path}: no tokenizer here", hint="run the stage train_tokenizer, or give another folder"
            )
        super().load(directory)
        listed = self.tokens
        self._set_model(path.read_bytes(), place=str(path))
        if self.tokens != listed:
            raise UserError(
                f"{directory}: tokens.txt and {MODEL_FILE} are not of the same tokenizer",
                hint="train the tokenizer again",
            )

    def encode(self, text: str) -> list[int]:
        """Ids of the pieces; characters that no piece spells get ``unk_id``."""
        return [index + 1 for index in self.processor.encode(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the pieces, with single spaces."""
        plain = [index - 1 for index in self._plain(ids)]
        return " ".join(self.processor.decode(plain).split())


class BpeTokenizer(SubwordTokenizer):
    """SentencePiece byte-pair encoding (Sennrich et al. 2016, https://aclanthology.org/P16-1162)."""

    model_type = "bpe"


class UnigramTokenizer(SubwordTokenizer):
    """SentencePiece unigram language model (Kudo 2018, https://aclanthology.org/P18-1007)."""

    model_type = "unigram"


def _once(sentences: Sequence[str]) -> Iterator[str]:
    yield from sentences
