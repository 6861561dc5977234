"""``espnet3 tts``: text to 16-bit wav files."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.bundle.choice import choose_bundle
from espnet3_core.errors import EXIT_USER, UserError

if TYPE_CHECKING:
    from espnet3_core.bundle.load import LoadedModel

    from espnet3_tts.say.texts import Text

MODEL_VARIABLE = "ESPNET3_TTS_MODEL"
CONTROLS = ("speed", "pitch", "energy", "steps", "temperature", "seed")
GROUP = 64
"""Texts that are spoken together."""


def run(arguments: argparse.Namespace) -> int:
    """Speak; texts that cannot be spoken are told and left out.

    Returns:
        0, or 2 when something could not be spoken.

    Raises:
        UserError: There is no model, nothing to say, or the arguments contradict each other.
    """
    from espnet3_tts.say.texts import find_texts

    texts = find_texts(arguments.text, arguments.file, arguments.output)
    bundle = choose_bundle(arguments.model, MODEL_VARIABLE)
    model = load_model(bundle, arguments)
    began, seconds, failed = time.monotonic(), 0.0, 0
    for start in range(0, len(texts), GROUP):
        for text, outcome in speak(model, texts[start : start + GROUP], arguments.speaker):
            if isinstance(outcome, UserError):
                failed += 1
                _say(str(outcome))
            else:
                from espnet3_core.infer.audio import write_wav

                write_wav(text.output, outcome)
                seconds += outcome.seconds
    spent = time.monotonic() - began
    rtf = f", RTF {spent / seconds:.3f}" if seconds else ""
    _say(
        f"{seconds:.2f} s of audio at {model.sample_rate} Hz in {spent:.1f} s{rtf}"
        + (f"; {failed} failed" if failed else "")
    )
    return EXIT_USER if failed else 0


def load_model(bundle: str, arguments: argparse.Namespace) -> LoadedModel:
    """A loaded bundle that speaks, with what the command line says otherwise than its configuration.

    Raises:
        UserError: It is not a bundle, its model does not speak, or a control is out of range.
    """
    from espnet3_core.bundle.load import load

    changes: dict[str, Any] = {
        key: getattr(arguments, key) for key in CONTROLS if getattr(arguments, key) is not None
    }
    if arguments.vocoder is not None:
        changes["vocoder"] = {"name": "tts/hifigan", "bundle": str(Path(arguments.vocoder).resolve())}
    model = load(bundle, device=arguments.device, search=changes)
    if not callable(getattr(model.model, "speak", None)):
        raise UserError(f"{bundle}: this model does not speak", hint="choose a model for speech synthesis")
    if arguments.unknown is not None:
        model.tokenizer.config.unknown = arguments.unknown
    return model


def speak(model: LoadedModel, texts: Sequence[Text], speaker: str | None) -> list[tuple[Text, Any]]:
    """Audio of texts; an error in place of one that cannot be spoken.

    Args:
        model: A loaded model.
        texts: Texts.
        speaker: Who speaks; None where the model has one speaker.
    """
    who = {} if speaker is None else {"speaker": [speaker] * len(texts)}
    try:
        results = model.batch([text.text for text in texts], **who)
    except UserError as error:
        if len(texts) == 1:
            place = texts[0].place  # the model knows its only text as number 0
            named = UserError(error.message.replace("utterance '0'", place), hint=error.hint)
            return [(texts[0], named)]
        return [outcome for text in texts for outcome in speak(model, [text], speaker)]
    return [(text, result.audio) for text, result in zip(texts, results, strict=True)]


def _say(message: str) -> None:
    print(f"espnet3 tts: {message}", file=sys.stderr, flush=True)
