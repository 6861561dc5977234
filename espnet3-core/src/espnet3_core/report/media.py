"""Audio and pictures as parts of the page, as far as they have room."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from espnet3_core.errors import UserError
from espnet3_core.report.html import Markup, h

if TYPE_CHECKING:
    from espnet3_core.infer.audio import Audio

LIMIT = 24 * 2**20
"""Bytes of audio and pictures in a page, as they stand in it (base64)."""

AUDIO_SECONDS = 60.0
"""What of an utterance is kept."""

PICTURES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",  # in an <img>, where its scripts do not run
}


@dataclass
class Media:
    """Makes players and images until the page is full.

    Attributes:
        audio: Utterances whose audio may still be embedded.
        limit: Bytes of all media together.
        used: Bytes that stand in the page.
        left_out: How many did not fit.
    """

    audio: int
    limit: int = LIMIT
    used: int = 0
    left_out: int = 0

    def player(self, audio: Audio, label: str) -> Markup:
        """A player with 16-bit FLAC inside: lossless for what the stage infer writes, half as large."""
        import numpy as np
        import soundfile

        kept = audio.samples[: int(AUDIO_SECONDS * audio.sample_rate)]
        stream = io.BytesIO()
        values = np.clip(np.rint(np.asarray(np.nan_to_num(kept), np.float64) * 32768), -32768, 32767)
        soundfile.write(stream, values.astype(np.int16), audio.sample_rate, format="FLAC", subtype="PCM_16")
        source = self._source(stream.getvalue(), "audio/flac")
        cut = f", the first {AUDIO_SECONDS:g} s" if len(kept) < len(audio.samples) else ""
        caption = h("figcaption", h("b", label), f" {audio.seconds:.2f} s, {audio.sample_rate:,} Hz{cut}")
        what = (
            h("audio", controls=True, preload="metadata", src=source, aria_label=label)
            if source
            else h("p", "left out: the page is full", class_="missing")
        )
        return h("figure", caption, what, class_="player")

    def picture(self, path: Path) -> Markup:
        """An image, named by its file."""
        source = self._source(path.read_bytes(), PICTURES[path.suffix.lower()])
        what = (
            h("img", src=source, alt=f"picture {path.stem}", loading="lazy")
            if source
            else h("p", "left out: the page is full", class_="missing")
        )
        return h("figure", what, h("figcaption", path.name), class_="picture")

    def recorded(self, path: Path, label: str) -> Markup:
        """A player of an audio file, or why there is none."""
        from espnet3_core.data.audio import audio_info, read_audio
        from espnet3_core.infer.audio import Audio

        try:
            rate = audio_info(path).rate
            return self.player(Audio(read_audio(path, sample_rate=rate, channels="mean"), rate), label)
        except UserError as error:
            return h("p", error.message, class_="missing")

    def _source(self, data: bytes, kind: str) -> str | None:
        text = base64.b64encode(data).decode("ascii")
        if self.used + len(text) > self.limit:
            self.left_out += 1
            return None
        self.used += len(text)
        return f"data:{kind};base64,{text}"
