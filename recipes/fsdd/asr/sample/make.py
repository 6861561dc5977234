"""Makes the sample corpus of this folder: digit strings spoken by flite, festival and espeak-ng voices.

Needs the three programs (Debian: ``apt-get install flite festival espeak-ng``), soundfile and soxr. Run
``python make.py`` to write ``flac/`` and ``manifest.tsv`` anew. The voices of the test strings speak no
training string.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

SAMPLE_RATE = 8000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MARGIN = 0.05  # seconds of silence kept at both ends


@dataclass(frozen=True)
class Voice:
    """A voice of one of the programs, and the strings that it speaks."""

    name: str
    program: str
    voice: str
    split: str
    strings: int


VOICES = (
    Voice("flite-kal16", "flite", "kal16", "train", 21),
    Voice("flite-awb", "flite", "awb", "train", 21),
    Voice("flite-slt", "flite", "slt", "train", 21),
    Voice("festival-kal", "festival", "kal_diphone", "train", 21),
    Voice("espeak-us-m3", "espeak-ng", "en-us+m3", "train", 21),
    Voice("espeak-us-f2", "espeak-ng", "en-us+f2", "train", 21),
    Voice("espeak-gb-m7", "espeak-ng", "en-gb+m7", "train", 21),
    Voice("espeak-rp-f4", "espeak-ng", "en-gb-x-rp+f4", "train", 21),
    Voice("espeak-scotland-m1", "espeak-ng", "en-gb-scotland+m1", "train", 21),
    Voice("espeak-us-f5", "espeak-ng", "en-us+f5", "valid", 20),
    Voice("flite-rms", "flite", "rms", "test", 24),
    Voice("espeak-gb-m5", "espeak-ng", "en-gb+m5", "test", 24),
)


def main() -> None:
    """Write the corpus into the folder given, by default this one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    folder: Path = parser.parse_args().folder
    for program in ("flite", "text2wave", "espeak-ng"):
        if shutil.which(program) is None:
            parser.error(f"{program} is not installed (Debian: apt-get install flite festival espeak-ng)")
    shutil.rmtree(folder / "flac", ignore_errors=True)
    (folder / "flac").mkdir(parents=True)
    rows = ["id\tpath\ttext\tspeaker\trecordings\tsplit"]
    for voice in VOICES:
        source = Random(f"sample {voice.name}")
        for number, digits in enumerate(digit_strings(voice.strings, source)):
            name = f"{voice.name}-{number:02d}"
            samples = speak(voice, phrase(digits, source), source)
            soundfile.write(folder / "flac" / f"{name}.flac", samples, SAMPLE_RATE, subtype="PCM_16")
            text = " ".join(map(str, digits))
            rows.append("\t".join((name, f"flac/{name}.flac", text, voice.name, name, voice.split)))
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    size = sum(file.stat().st_size for file in (folder / "flac").iterdir())
    print(f"{len(rows) - 1} strings, {size / 1e6:.2f} MB")


def digit_strings(count: int, source: Random) -> list[list[int]]:
    """``count`` strings of 3 to 7 digits in which each digit occurs about equally often."""
    supply: list[int] = []
    strings = []
    for _ in range(count):
        length = 3 + int(source.random() * 5)
        while len(supply) < length:
            supply += sorted(range(10), key=lambda _: source.random())
        strings.append([supply.pop(0) for _ in range(length)])
    return strings


def phrase(digits: list[int], source: Random) -> str:
    """Words with a comma, which is a pause, after some of them."""
    spoken = [WORDS[digit] + ("," if source.random() < 0.25 else "") for digit in digits]
    return " ".join(spoken).rstrip(",")


def speak(voice: Voice, text: str, source: Random) -> NDArray[np.float32]:
    """One string at a pace of its own, 8 kHz, without the silence at its ends."""
    pace, pitch = 0.85 + 0.35 * source.random(), source.random()
    with tempfile.TemporaryDirectory() as folder:
        wav = f"{folder}/speech.wav"
        if voice.program == "flite":
            command = ["flite", "-voice", voice.voice, "--setf", f"duration_stretch={1 / pace:.3f}"]
            command += ["-t", text, "-o", wav]
        elif voice.program == "festival":
            setting = f"(voice_{voice.voice}) (Parameter.set 'Duration_Stretch {1 / pace:.3f})"
            command = ["text2wave", "-eval", f"(begin {setting})", "-o", wav]
        else:
            command = ["espeak-ng", "-v", voice.voice, "-s", str(round(150 * pace))]
            command += ["-p", str(round(35 + 30 * pitch)), "-w", wav, text]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)
        samples, rate = soundfile.read(wav, dtype="float32")
    speech = soxr.resample(samples, rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(speech) > 0.01 * np.abs(speech).max())
    margin = round(MARGIN * SAMPLE_RATE)
    return np.asarray(speech[max(loud[0] - margin, 0) : loud[-1] + margin], dtype=np.float32)


if __name__ == "__main__":
    main()
