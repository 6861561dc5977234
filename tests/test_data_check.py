"""``espnet3 data check``: kinds that a run does not stop at, and comparisons between data sets."""

import json

import numpy as np
import soundfile

VARIANT = ("--training", "training_sample", "--inference", "inference_sample")


def spoil(recipe):
    """Break one utterance per kind; returns the kind of each line of the manifest."""
    rows = [row.split("\t") for row in recipe.rows()]
    train, test = recipe.line_of("train"), recipe.line_of("test")
    read = [soundfile.read(recipe.audio(line), dtype="float32")[0] for line in range(2, len(rows) + 1)]
    of = dict(enumerate(read, 2))
    soundfile.write(recipe.audio(train), np.zeros(8000, np.float32), 8000)
    soundfile.write(recipe.audio(train + 1), np.clip(of[train + 1] * 50, -1, 1), 8000)
    soundfile.write(recipe.audio(train + 2), np.stack([of[train + 2]] * 2, axis=1), 8000)
    rows[train + 3 - 1][2] = "1 2 3 " * 100
    soundfile.write(recipe.directory / "sample/copy.wav", of[train + 4], 8000, subtype="PCM_16")
    rows[test - 1][1] = "copy.wav"
    rows[test + 1 - 1][2] = "1 quux 2"
    rows.append(["lonely field"])
    recipe.write(["\t".join(row) for row in rows])
    return {
        "silent": train, "clipped": train + 1, "channels": train + 2, "too long for CTC": train + 3,
        "same audio": test, "characters": test + 1, "listing": len(rows),
    }  # fmt: skip


def test_each_kind_is_found_once_and_errors_decide_the_exit_code(small_recipe, tmp_path):
    expected = spoil(small_recipe)
    cache = {"ESPNET3_CACHE": str(tmp_path / "cache")}
    found = small_recipe.espnet3("data", "check", *VARIANT, "--json", "--workers", "1", **cache)
    assert found.returncode == 2, found.stderr
    report = json.loads(found.stdout)
    places = {entry["kind"]: int(entry["place"].rpartition(":")[2]) for entry in report["findings"]}
    assert places == expected
    assert report["counts"] == dict.fromkeys(sorted(expected), 1)
    assert report["utterances"] == {"train": 12, "valid": 3, "test/test": 4}
    entries = {entry["kind"]: entry for entry in report["findings"]}
    assert all(entry["hint"] and entry["reason"] for entry in report["findings"])
    assert all(entry["id"] and entry["audio"] for kind, entry in entries.items() if kind != "listing")
    assert "'quux'" in entries["characters"]["reason"]
    assert "needs 300 frames" in entries["too long for CTC"]["reason"]

    table = small_recipe.espnet3("data", "check", *VARIANT, "--workers", "1", **cache)
    assert table.returncode == 2
    for kind, line in expected.items():
        assert kind in table.stdout and f"manifest.tsv:{line}:" in table.stdout
    assert table.stdout.splitlines()[-1].startswith("3 errors, 4 warnings (train 12, valid 3, test/test 4")

    rows = small_recipe.rows()
    stereo, copied = expected["channels"] - 1, expected["same audio"] - 1
    small_recipe.write([row for number, row in enumerate(rows[:-1]) if number not in (stereo, copied)])
    mended = small_recipe.espnet3("data", "check", *VARIANT, "--workers", "1", **cache)
    assert mended.returncode == 0, mended.stdout
    assert mended.stdout.splitlines()[-1].startswith("0 errors, 4 warnings")
