"""The model card: a short ``README.md`` for people, with the front matter that model hubs read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from espnet3_core.bundle.manifest import Manifest

_PIPELINES = {
    ("audio", "text"): "automatic-speech-recognition",
    ("text", "audio"): "text-to-speech",
    ("audio", "audio"): "audio-to-audio",
    ("audio", "label"): "audio-classification",
}


def card(manifest: Manifest) -> str:
    """The text of the card."""
    parts = (_front_matter, _head, _scores, _use, _sample)
    return "\n".join(line for part in parts for line in part(manifest)) + "\n"


def _front_matter(manifest: Manifest) -> Iterator[str]:
    import yaml

    values: dict[str, Any] = {
        "library_name": "espnet3",
        "tags": ["espnet3", manifest.system.partition("/")[0]],
        "pipeline_tag": _pipeline(manifest),
        # Hubs know licences by the names of SPDX, which are case-insensitive, in lower case.
        "license": manifest.license.lower() if manifest.license else None,
        "language": list(manifest.language),
        "datasets": list(manifest.training.get("datasets", ())),
        "model-index": _model_index(manifest),
    }
    values = {key: value for key, value in values.items() if value}
    yield "---"
    yield yaml.safe_dump(values, sort_keys=True, allow_unicode=True).rstrip()
    yield "---"
    yield ""


def _pipeline(manifest: Manifest) -> str | None:
    """What hubs call a function between these kinds of fields."""
    if not manifest.inputs or not manifest.outputs:
        return None
    return _PIPELINES.get((manifest.inputs[0].kind, manifest.outputs[0].kind))


def _model_index(manifest: Manifest) -> list[dict[str, Any]]:
    """The scores of every test set, in the form that hubs show them."""
    pipeline, results = _pipeline(manifest), []
    for test in sorted({test for tests in (manifest.metrics or {}).values() for test in tests}):
        metrics = [
            {"type": next(iter(tests[test])), "name": label, "value": _main(tests[test])}
            for label, tests in (manifest.metrics or {}).items()
            if test in tests and isinstance(_main(tests[test]), (int, float))
        ]
        if metrics and pipeline:
            # Test sets have names in recipes only: those stand for the corpus, which hubs ask for.
            dataset = {"name": test, "type": next(iter(manifest.training.get("datasets", ())), test)}
            results.append({"task": {"type": pipeline}, "dataset": dataset, "metrics": metrics})
    return [{"name": manifest.title or manifest.system, "results": results}] if results else []


def _main(values: Mapping[str, Any]) -> Any:
    """The score that a metric is named after, which comes first."""
    return next(iter(values.values()), None)


def _head(manifest: Manifest) -> Iterator[str]:
    yield f"# {manifest.title or manifest.system}"
    yield ""
    rate = f", audio at {manifest.sample_rate} Hz" if manifest.sample_rate else ""
    parameters = manifest.training.get("parameters")
    size = f" {parameters:,} parameters" if parameters else ""
    model = next((part["name"] for part in manifest.components if part["kind"] == "model"), "model")
    yield f"System `{manifest.system}`, model `{model}`:{size}{rate}."
    yield ""


def _scores(manifest: Manifest) -> Iterator[str]:
    if not manifest.metrics:
        return
    yield "| metric | test set | score | interval |"
    yield "|---|---|---|---|"
    for label, tests in manifest.metrics.items():
        for test, values in tests.items():
            yield f"| {label} | {test} | {_score(values)} | {_interval(values)} |"
    yield ""


def _score(values: Mapping[str, Any]) -> str:
    main = _main(values)
    return f"{main:.2f}" if isinstance(main, (int, float)) else "undefined"


def _interval(values: Mapping[str, Any]) -> str:
    interval = values.get("interval")
    return f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""


def _use(manifest: Manifest) -> Iterator[str]:
    needed = sorted({part["distribution"] for part in manifest.components} - {"espnet3-core"})
    text_in = bool(manifest.inputs) and manifest.inputs[0].kind == "text"
    audio_out = any(field.kind == "audio" for field in manifest.outputs)
    attribute = "audio" if audio_out else "text"
    sample = manifest.sample["inputs"].get(manifest.inputs[0].name) if manifest.sample else None
    value = sample if isinstance(sample, str) else "hello" if text_in else "audio.wav"
    yield "```"
    yield f"pip install {' '.join(needed or ['espnet3-core'])}"
    yield "```"
    yield ""
    yield "```python"
    yield "import espnet3_core"
    yield ""
    yield 'model = espnet3_core.load(".")  # this folder; or its address, hf://ORG/NAME@REVISION'
    yield f"print(model({json.dumps(value, ensure_ascii=False)}).{attribute})"
    yield "```"
    yield ""


def _sample(manifest: Manifest) -> Iterator[str]:
    """What of the data is given away with the model."""
    if manifest.sample is None:
        yield "No sample of the data is given away with this model, so `espnet3 verify` compares hashes only."
        return
    kinds = {field.name: field.kind for field in (*manifest.inputs, *manifest.outputs)}
    recorded = [name for name in manifest.sample["inputs"] if kinds.get(name) == "audio"]
    what = "a recording" if recorded else "an input"
    yield f"`espnet3 verify` replays {what} that is given away with the model, and compares what comes out."
