"""The model card: a short ``README.md`` for people, with the front matter that model hubs read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from espnet3_core.bundle.manifest import Manifest


def card(manifest: Manifest) -> str:
    """The text of the card."""
    return "\n".join([*_front_matter(manifest), *_head(manifest), *_scores(manifest), *_use(manifest)]) + "\n"


def _front_matter(manifest: Manifest) -> Iterator[str]:
    import yaml

    values: dict[str, Any] = {
        "library_name": "espnet3",
        "tags": ["espnet3", manifest.system.partition("/")[0]],
    }
    if manifest.license:
        values["license"] = manifest.license
    if manifest.language:
        values["language"] = list(manifest.language)
    yield "---"
    yield yaml.safe_dump(values, sort_keys=True, allow_unicode=True).rstrip()
    yield "---"
    yield ""


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
    main = next(iter(values.values()), None)
    return f"{main:.2f}" if isinstance(main, (int, float)) else "undefined"


def _interval(values: Mapping[str, Any]) -> str:
    interval = values.get("interval")
    return f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""


def _use(manifest: Manifest) -> Iterator[str]:
    needed = sorted({part["distribution"] for part in manifest.components} - {"espnet3-core"})
    text_in = bool(manifest.inputs) and manifest.inputs[0].kind == "text"
    audio_out = any(field.kind == "audio" for field in manifest.outputs)
    value, attribute = ("hello" if text_in else "audio.wav"), ("audio" if audio_out else "text")
    yield "```"
    yield f"pip install {' '.join(needed or ['espnet3-core'])}"
    yield "```"
    yield ""
    yield "```python"
    yield "import espnet3_core"
    yield ""
    yield 'model = espnet3_core.load("path/to/this/folder")'
    yield f'print(model("{value}").{attribute})'
    yield "```"
