"""espeak-ng's pronunciations, through its library."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from espnet3_core.errors import UserError

_RETRIEVAL = 2
"""Synchronous: nothing is played."""
_UTF8 = 1
_IPA = 2


@cache
def _library() -> Any:
    """The library, initialised once in a process.

    Raises:
        UserError: The extra is not installed.
    """
    try:
        import espeakng_loader
    except ImportError:
        raise UserError(
            "tts/ipa needs espeak-ng, which is not installed", hint="pip install 'espnet3-tts[ipa]'"
        ) from None
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    if library.espeak_Initialize(_RETRIEVAL, 0, espeakng_loader.get_data_path().encode(), 0) < 0:
        raise UserError(
            "espeak-ng cannot be initialised", hint="pip install --force-reinstall espeakng-loader"
        )
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    return library


def version() -> str:
    """Version of espeak-ng, which decides the phones."""
    library = _library()
    library.espeak_Info.restype = ctypes.c_char_p
    return str(library.espeak_Info(None).decode())


def phonemize(words: str, voice: str) -> list[str]:
    """Words of a text in the International Phonetic Alphabet.

    Args:
        words: Text without marks that are to be kept.
        voice: espeak-ng's language.

    Raises:
        UserError: espeak-ng is not installed, or has no such voice.
    """
    library = _library()
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise UserError(f"espeak-ng has no voice {voice!r}", hint="en-us, en-gb, de, fr-fr, es, it …")
    text = ctypes.c_char_p(words.encode())
    pointer = ctypes.pointer(ctypes.c_void_p(ctypes.cast(text, ctypes.c_void_p).value))
    found: list[str] = []
    while pointer.contents.value:
        spoken = library.espeak_TextToPhonemes(pointer, _UTF8, _IPA)
        found.extend(spoken.decode().split())
    return found
