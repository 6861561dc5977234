"""UTF-8 bytes as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from espnet3_asr.tokenizers.base import BaseTokenizer, normalize_text
from espnet3_asr.tokenizers.config import ByteTokenizerConfig

FIRST_BYTE = 2


class ByteTokenizer(BaseTokenizer):
    """The 256 bytes, spelt ``<0x00>`` to ``<0xFF>``: every text can be written, nothing is learnt."""

    trainable = False

    def __init__(self, config: ByteTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self._set_tokens(f"<0x{value:02X}>" for value in range(256))

    def normalize(self, text: str) -> str:
        """Unicode normalization and single spaces."""
        return normalize_text(text, self.config.unicode)

    def train(self, texts: Iterable[str]) -> None:
        """There is nothing to learn; the texts are not read."""

    def encode(self, text: str) -> list[int]:
        """Ids of the text's UTF-8 bytes."""
        # Lone surrogates (broken input) have no UTF-8; the replacement character stands for them.
        data = self.normalize(text).encode("utf-8", errors="replace")
        return [FIRST_BYTE + value for value in data]

    def decode(self, ids: Sequence[int]) -> str:
        """The text; bytes that are not UTF-8 become U+FFFD."""
        data = bytes(index - FIRST_BYTE for index in self._plain(ids))
        return " ".join(data.decode("utf-8", errors="replace").split())
