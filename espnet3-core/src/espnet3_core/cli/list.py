"""``espnet3 list [KIND]``: components and who provides them."""

from __future__ import annotations

import argparse
import json

from espnet3_core.catalog import Registered, current_catalog
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean
from espnet3_core.specs import KINDS


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 list model"
    parser.add_argument("kind", nargs="?", metavar="KIND", help=f"one of: {', '.join(KINDS)}")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the list on stdout."""
    kind = args.kind
    if kind is not None and kind not in KINDS:
        kind = kind.removesuffix("s") if kind.removesuffix("s") in KINDS else kind
        kind = "search" if kind == "searche" else kind
        if kind not in KINDS:
            hint = did_you_mean(kind, KINDS, otherwise=f"kinds are: {', '.join(KINDS)}")
            raise UserError(f"there is no kind {kind!r}", hint=hint)
    found = current_catalog().components(kind)
    if args.json:
        print(json.dumps([as_json(entry) for entry in found], indent=2))
        return 0
    print(table(found) if found else "nothing is installed" + (f" of kind {kind}" if kind else ""))
    return 0


def as_json(entry: Registered) -> dict[str, object]:
    """A component as a JSON object."""
    return {
        "kind": entry.kind,
        "name": entry.name,
        "role": entry.role,
        "summary": entry.spec.summary,
        "tasks": list(entry.spec.tasks),
        "distribution": entry.provider.distribution,
        "version": entry.provider.version,
    }


def table(found: list[Registered]) -> str:
    """Aligned lines below one heading per kind."""
    width = max(len(entry.name) for entry in found)
    role_width = max(len(entry.role or "") for entry in found)
    provider_width = max(len(_provider(entry)) for entry in found)
    lines: list[str] = []
    kind = None
    for entry in found:
        if entry.kind != kind:
            kind = entry.kind
            lines += ["", kind] if lines else [kind]
        cells = (
            f"  {entry.name:<{width}}  {entry.role or '':<{role_width}}  {_provider(entry):<{provider_width}}"
        )
        lines.append(f"{cells}  {entry.spec.summary}".rstrip())
    return "\n".join(lines)


def _provider(entry: Registered) -> str:
    return f"{entry.provider.distribution} {entry.provider.version}"
