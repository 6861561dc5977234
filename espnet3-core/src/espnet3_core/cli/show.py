"""``espnet3 show NAME``: a component's summary, provider and options."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterable
from typing import Any

from espnet3_core.catalog import Registered, current_catalog
from espnet3_core.errors import UserError
from espnet3_core.names import Ref, did_you_mean, normalize_distribution
from espnet3_core.specs import KINDS, SystemSpec


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 show asr/ctc"
    parser.add_argument("name", metavar="NAME", help="a component, for example asr/ctc")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print every component of that name (kinds have separate names)."""
    found = matching(args.name)
    if args.json:
        print(json.dumps([as_json(entry) for entry in found], indent=2))
    else:
        print("\n\n".join(describe(entry) for entry in found))
    return 0


def matching(name: str) -> list[Registered]:
    """Components of that name, of whatever kind.

    Raises:
        UserError: There is none.
    """
    catalog = current_catalog()
    everything = catalog.components()
    ref = Ref.parse(name, (entry.name for entry in everything))
    found = [entry for entry in everything if entry.name == ref.name]
    if ref.distribution:
        wanted = normalize_distribution(ref.distribution)
        found = [entry for entry in found if entry.provider.distribution == wanted]
    if not found:
        namespaces = {entry.provider.namespace for entry in everything}
        for kind in KINDS if ref.namespace in namespaces else ():
            if any(alias.name == ref.name for e in catalog.components(kind) for alias in e.spec.aliases):
                return [catalog.find(kind, name)]
        hint = did_you_mean(ref.name, [entry.name for entry in everything])
        if ref.namespace not in namespaces:
            hint = f"pip install {catalog.requirement_of(ref.namespace)}"
        raise UserError(f"there is no component {name!r}", hint=hint or "espnet3 list shows them all")
    return found


def _fields(entry: Registered) -> list[Any]:
    from espnet3_core.config.fields import fields_of, schema_of

    schema = schema_of(entry)
    return [] if schema is None else list(fields_of(schema))


def as_json(entry: Registered) -> dict[str, Any]:
    """A component with its options as a JSON object."""
    from espnet3_core.cli.list import as_json as head

    body = head(entry)
    if isinstance(entry.spec, SystemSpec):
        body["stages"] = [
            {"name": stage.name, "roles": list(stage.roles), "summary": stage.summary}
            for stage in entry.spec.stages
        ]
    else:
        body["target"] = entry.spec.target
        body["options"] = [
            {"name": field.name, "type": field.type, "default": field.default, "doc": field.doc}
            for field in _fields(entry)
        ]
    return body


def describe(entry: Registered) -> str:
    """A component as text."""
    spec, provider = entry.spec, entry.provider
    kind = f"{entry.role} {entry.kind}" if entry.role else entry.kind
    lines = [f"{spec.name}: {kind} from {provider.distribution} {provider.version}"]
    if spec.summary:
        lines.append(spec.summary)
    if isinstance(spec, SystemSpec):
        lines += ["", "stages"]
        lines += [
            f"  {stage.name:<18} {' + '.join(stage.roles):<24} {stage.summary}".rstrip()
            + (" (only when named)" if stage.explicit else "")
            for stage in spec.stages
        ]
        return "\n".join(lines)
    lines.append(f"implemented by {spec.target}")
    if spec.aliases:
        lines.append("formerly " + ", ".join(alias.name for alias in spec.aliases))
    fields = _fields(entry)
    lines += ["", "options" if fields else "no options"]
    return "\n".join([*lines, *option_lines(fields, "  ")])


def option_lines(fields: Iterable[Any], indent: str) -> list[str]:
    """Options with type, default and meaning; the keys of a group stand below it."""
    from espnet3_core.config.fields import fields_of

    lines: list[str] = []
    for field in fields:
        default = f" = {field.default}" if field.default is not None else "  (required)"
        lines.append(f"{indent}{field.name}: {field.type}{default}")
        margin = f"{indent}    "
        lines += textwrap.wrap(field.doc, 96, initial_indent=margin, subsequent_indent=margin)
        if field.nested is not None:
            lines += option_lines(fields_of(field.nested), f"{indent}  ")
    return lines
