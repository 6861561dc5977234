"""Packs a recogniser and a voice in one environment, and compares what they give in a new one, elsewhere.

Usage: ``python check_bundles.py PYTHON DIST CONSTRAINTS NEW``, where PYTHON is the environment to pack in,
and NEW a folder for the other one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("espnet3-asr", "espnet3-tts")
RECORDINGS = sorted(map(str, (ROOT / "recipes/fsdd/asr/sample/flac").glob("*-0[0-4].flac")))
TEXTS = ["hello you", "a second sentence is spoken after this one", "no"]
SPEAKERS = ["anna", "bert", "anna"]
TOLERANCE = 1e-4
"""Largest difference of samples of audio, full scale 1."""
PACK = """
import sys
from pathlib import Path
from typing import Any
sys.path[:0] = sys.argv[2:]
import make_bundle, voice_bundles
from espnet3_core.bundle.archive import write_archive
place = Path(sys.argv[1])
make_bundle.make(place / "digits")
write_archive(place / "digits", place / "digits.zip")
voice_bundles.make(place / "voice", voice_bundles.ACOUSTIC)
write_archive(place / "voice", place / "voice.tar.gz")
"""
USE = """
import json, sys
import espnet3_core
digits, voice, inputs, out = sys.argv[1:]
recordings, texts, speakers = json.loads(inputs)
heard = espnet3_core.load(digits, device="cpu").batch(recordings)
spoken = espnet3_core.load(voice, device="cpu").batch(texts, speaker=speakers)
with open(out, "w") as stream:
    texts = [result.text for result in heard]
    audio = [result.audio.samples.tolist() for result in spoken]
    json.dump({"core": espnet3_core.__file__, "texts": texts, "audio": audio}, stream)
"""
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("ESPNET3_", "PYTHON"))}


def main(python: str, dist: str, constraints: str, new: str) -> None:
    """Run the checks; raises on the first that fails."""
    python = os.path.abspath(python)
    shutil.rmtree(new, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", new], check=True)
    other = os.path.abspath(Path(new) / "bin/python")
    for where in (python, other):
        install = [where, "-m", "pip", "install", "--quiet", "-c", constraints, "--find-links", dist]
        subprocess.run([*install, *PACKAGES], check=True)
    with tempfile.TemporaryDirectory() as folder:
        packed, moved = Path(folder) / "packed", Path(folder) / "from elsewhere"
        packed.mkdir()
        tests = [str(ROOT / "plugins" / part) for part in ("espnet3-asr/tests/bundles", "espnet3-onnx/tests")]
        run(python, "-c", PACK, str(packed), *tests, cwd=packed)
        expected = used(python, packed / "digits", packed / "voice", packed)
        moved.mkdir()
        for name in ("digits.zip", "voice.tar.gz"):
            shutil.move(packed / name, moved / name)
        shutil.rmtree(packed)
        for name in ("digits.zip", "voice.tar.gz"):
            said = run(other, "-m", "espnet3_core", "verify", name, cwd=moved)
            assert said.splitlines()[-1] == "the sample gives what it gave when the bundle was packed", said
        found = used(other, moved / "digits.zip", moved / "voice.tar.gz", moved)
    compare(expected, found)


def run(python: str, *words: str, cwd: Path) -> str:
    """Run an environment's Python; what it printed."""
    environment = {**ENVIRONMENT, "ESPNET3_CACHE": str(cwd / "cache")}
    done = subprocess.run(
        [python, *words], cwd=cwd, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def used(python: str, digits: Path, voice: Path, place: Path) -> dict[str, Any]:
    """What an environment hears in recordings, and says of texts."""
    inputs = json.dumps([RECORDINGS, TEXTS, SPEAKERS])
    run(python, "-c", USE, str(digits), str(voice), inputs, str(place / "found.json"), cwd=place)
    found: dict[str, Any] = json.loads((place / "found.json").read_text("utf-8"))
    return found


def compare(expected: dict[str, Any], found: dict[str, Any]) -> None:
    """Texts are identical, and audio is within the tolerance."""
    assert expected["core"] != found["core"], "both environments are one"
    assert "site-packages" in str(found["core"]), f"not from its wheel: {found['core']}"
    assert len(set(expected["texts"])) > 3, expected["texts"]
    assert found["texts"] == expected["texts"], (found["texts"], expected["texts"])
    assert list(map(len, found["audio"])) == list(map(len, expected["audio"]))
    pairs = [
        pair for ours, theirs in zip(expected["audio"], found["audio"], strict=True)
        for pair in zip(ours, theirs, strict=True)
    ]  # fmt: skip
    assert max(abs(ours) for ours, _ in pairs) > 100 * TOLERANCE
    worst = max(abs(ours - theirs) for ours, theirs in pairs)
    assert worst <= TOLERANCE, f"audio differs by {worst:.2g}"
    print(
        f"in a new environment, at another path: {len(found['texts'])} texts identical, "
        f"{len(pairs)} samples of audio within {worst:.1g}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
