"""``espnet3 plugin``: write a new plugin, check one, list those installed, make one of a recipe."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from espnet3_core.errors import EXIT_USER


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 plugin new acme --kinds model,metric"
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    new = actions.add_parser("new", help="write a package with one working component of each kind")
    new.add_argument("name", metavar="NAME", help="namespace of its components: acme for acme/model")
    new.add_argument("--kinds", metavar="KIND,…", default="model", help="for example model,dataset,metric")
    _package_arguments(new)

    check = actions.add_parser("check", help="find what would trouble users of a plugin, and run its tests")
    check.add_argument("directory", metavar="DIR", nargs="?", type=Path, default=Path("."))
    check.add_argument("--static", action="store_true", help="only read its files; run nothing")

    listed = actions.add_parser("list", help="installed plugins, and whether they are in use")
    listed.add_argument("--json", action="store_true", help="print JSON")

    moved = actions.add_parser(
        "from-recipe", help="make a package of a recipe's src/, and names of its paths"
    )
    moved.add_argument("recipe", metavar="RECIPE", type=Path, help="the recipe's folder")
    moved.add_argument("name", metavar="NAME", help="namespace of its components")
    moved.add_argument("--dry-run", action="store_true", help="print what would change, and change nothing")
    _package_arguments(moved)


def _package_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--directory", metavar="DIR", type=Path, help="folder to write (./espnet3-NAME)")
    parser.add_argument(
        "--license", metavar="LICENCE", default="apache-2.0", help="mit, none, … (apache-2.0)"
    )
    parser.add_argument("--author", metavar="NAME", default="", help="who holds the copyright")


def run(args: argparse.Namespace) -> int:
    """Do one of the four."""
    actions = {"new": _new, "check": _check, "list": _list, "from-recipe": _from_recipe}
    return actions[args.action](args)


def _new(args: argparse.Namespace) -> int:
    from espnet3_core.authoring.package import create_package

    kinds = [kind.strip() for kind in args.kinds.split(",") if kind.strip()]
    folder = create_package(args.name, kinds, args.directory, license=args.license, author=args.author)
    shown = shlex.quote(str(folder))
    print(f"wrote {folder}; next:")
    print(f"  pip install -e {shlex.quote(f'{folder}[test]')}")
    print(f"  pytest {shown}")
    print(f"then espnet3 list shows what it adds, and espnet3 plugin check {shown} what to mend")
    return 0


def _check(args: argparse.Namespace) -> int:
    from espnet3_core.authoring.check import check_package

    findings = check_package(args.directory, run=not args.static)
    for finding in findings:
        print(finding)
    print(f"{len(findings)} to mend" if findings else "nothing to mend")
    return EXIT_USER if findings else 0


def _from_recipe(args: argparse.Namespace) -> int:
    from espnet3_core.authoring.from_recipe import move_recipe

    move = move_recipe(
        args.recipe,
        args.name,
        args.directory,
        license=args.license,
        author=args.author,
        dry_run=args.dry_run,
    )
    print(move.report)
    return 0


def _list(args: argparse.Namespace) -> int:
    from espnet3_core.catalog import installed_catalog
    from espnet3_core.plugin_states import plugin_states

    states = [state.as_json() for state in plugin_states(installed_catalog())]
    print(json.dumps(states, indent=2) if args.json else "\n".join(table(states)))
    return 0


def table(states: Iterable[Mapping[str, Any]]) -> list[str]:
    """Lines with namespace, distribution, API generation, components, time of import, state and why."""
    rows = [("namespace", "distribution", "API", "components", "import", "state")]
    notes: list[str] = [""]
    for state in states:
        time = "" if state["import_ms"] is None else f"{state['import_ms']:.0f} ms"
        package = f"{state['distribution']} {state['version']}"
        count = str(state["components"])
        rows.append((state["namespace"], package, str(state["api"]), count, time, state["state"]))
        notes.append(" -> ".join(filter(None, (state["why"], state["hint"]))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=True)), note]).rstrip()
        for row, note in zip(rows, notes, strict=True)
    ]
