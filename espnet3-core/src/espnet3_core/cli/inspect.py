"""``espnet3 inspect BUNDLE``: what it is, what it needs, what it takes and gives. Runs nothing in it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espnet3_core.bundle.manifest import Manifest


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 inspect digits.zip --json"
    parser.add_argument("source", metavar="BUNDLE", help="a folder, a zip or tar, or an address")
    parser.add_argument("--json", action="store_true", help="the whole manifest and configuration as JSON")


def run(args: argparse.Namespace) -> int:
    """Check the bundle and print what its manifest says."""
    from espnet3_core.bundle.check import check_bundle
    from espnet3_core.bundle.json_files import read_json
    from espnet3_core.bundle.limits import DEFAULT_LIMITS
    from espnet3_core.bundle.manifest import CONFIG
    from espnet3_core.bundle.source import local_bundle

    folder = local_bundle(args.source)
    manifest = check_bundle(folder)
    if args.json:
        config = read_json(folder / CONFIG, DEFAULT_LIMITS)
        print(json.dumps({**manifest.to_dict(), "config": config}, indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(manifest)))
    return 0


def _lines(manifest: Manifest) -> Iterator[str]:
    parameters = manifest.training.get("parameters")
    model = next((part["name"] for part in manifest.components if part["kind"] == "model"), "?")
    yield f"{manifest.title or manifest.system}  (format {manifest.schema})"
    yield f"system      {manifest.system}, model {model}" + (
        f", {parameters:,} parameters" if parameters else ""
    )
    if manifest.sample_rate:
        yield f"audio       {manifest.sample_rate} Hz"
    yield f"licence     {manifest.license or 'not said'}"
    if manifest.language:
        yield f"languages   {', '.join(manifest.language)}"
    for label, fields in (("takes", manifest.inputs), ("gives", manifest.outputs)):
        for field in fields:
            yield f"{label:<11} {field.name}: {field.kind}" + (f", {field.summary}" if field.summary else "")
    for name, versions in sorted(manifest.requirements.items()):
        yield f"needs       {name}{versions}"
    for name, version in manifest.versions.items():
        yield f"packed with {name} {version}"
    yield from _scores(manifest.metrics or {})
    size = sum(entry["size"] for entry in manifest.files.values())
    sample = "with a sample" if manifest.sample else "without a sample"
    yield f"files       {len(manifest.files)}, {size / 1e6:.1f} MB, {sample}"


def _scores(metrics: Mapping[str, Any]) -> Iterator[str]:
    for label, tests in metrics.items():
        for test, values in tests.items() if isinstance(tests, Mapping) else ():
            main = next(iter(values.values()), None) if isinstance(values, Mapping) else None
            if isinstance(main, (int, float)):
                yield f"score       {label} on {test}: {main:.2f}"
