"""``espnet3 export BUNDLE --format FORMAT``: graphs, and how well they agree with the bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from espnet3_core.catalog import current_catalog
from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from espnet3_core.specs import ExportSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 export digits.zip --format onnx --output digits-onnx"
    parser.add_argument("source", metavar="BUNDLE", help="a folder, a zip or tar, or an address")
    parser.add_argument("--format", required=True, help="; ".join(_described(current_catalog().exports())))
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where to write; else BUNDLE-FORMAT in this folder"
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier export of that name")


def run(args: argparse.Namespace) -> int:
    """Export, compare, and say where it is.

    Raises:
        UserError: There is no such format, the bundle has no such form, the folder exists, or the graphs
            compute something else than the bundle.
    """
    from espnet3_onnx.write import REPORT, write_export

    spec_by_system = _of_format(args.format)
    name = Path(args.source).name.removesuffix(".gz").removesuffix(".tar").removesuffix(".zip")
    output = args.output or Path(f"{name}-{args.format}")
    if output.exists():
        if not args.force:
            raise UserError(f"{output} exists", hint="--force replaces an export, --output chooses another")
        if not (output / REPORT).is_file():
            raise UserError(
                f"{output} exists and is no export, so --force does not replace it",
                hint="choose another --output",
            )

    import espnet3_core

    model = espnet3_core.load(args.source, device="cpu")
    system = model.manifest.system
    if system not in spec_by_system:
        raise UserError(
            f"{args.source}: bundles of {system} are not exported as {args.format}",
            hint=f"those of {', '.join(sorted(spec_by_system))} are",
        )
    report = write_export(model, spec_by_system[system], output)
    for graph in report["graphs"].values():
        difference = max(graph["largest_difference"].values())
        same = ", same text" if graph["same_text"] else ""
        print(f"{output / graph['file']}: largest difference {difference:.1e}{same}")
    return 0


def _of_format(name: str) -> dict[str, ExportSpec]:
    """What is exported in a format, by system."""
    specs = current_catalog().exports()
    found = {spec.system: spec for spec in specs if spec.format == name}
    if not found:
        formats = "; ".join(_described(specs))
        hint = f"formats: {formats}" if specs else "tasks bring formats, for example pip install espnet3-asr"
        raise UserError(f"there is no export format {name!r}", hint=hint)
    return found


def _described(specs: list[ExportSpec]) -> list[str]:
    return sorted({f"{spec.format} ({spec.summary})" for spec in specs})
