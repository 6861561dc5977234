"""``espnet3 config show`` and ``espnet3 config diff``: configurations as a run would see them."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.cli.run import chosen_stems, known_roles
from espnet3_core.errors import EXIT_USER, UserError
from espnet3_core.names import did_you_mean

if TYPE_CHECKING:
    from espnet3_core.config.load import Reading


USAGE = """espnet3 config show [RECIPE] ROLE [--origin] [--written] [--ROLE STEM] [ROLE.KEY=VALUE …]
       espnet3 config diff A B"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments; there is one option per role of the installed systems."""
    parser.usage = USAGE
    parser.epilog = (
        "show prints a role's configuration with defaults lists, overrides and defaults resolved; "
        "diff compares two: each is a recipe, RECIPE:ROLE, RECIPE:STEM, or a YAML file. "
        "Example: espnet3 config show recipes/fsdd/asr training --origin"
    )
    parser.add_argument("verb", choices=("show", "diff"), help="what to do")
    parser.add_argument("words", nargs="*", metavar="…", help="recipe and role, or the two to compare")
    parser.add_argument("--origin", action="store_true", help="say in a comment where each value comes from")
    parser.add_argument("--written", action="store_true", help="leave out what nothing sets: the defaults")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(config=[])
    for role in known_roles():
        parser.add_argument(f"--{role}", metavar="STEM", help=f"conf/STEM.yaml for role {role} ({role})")
    # Overrides may stand anywhere between the options.
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]


def run(args: argparse.Namespace) -> int:
    """Show or compare."""
    words = [word for word in args.words if "=" not in word and not word.startswith("~")]
    overrides = [word for word in args.words if word not in words]
    if args.verb == "show" and len(words) in (1, 2):
        return _show(args, words[0] if len(words) == 2 else ".", words[-1], overrides)
    if args.verb == "diff" and len(words) == 2 and not overrides:
        return _diff(words[0], words[1], as_json=args.json)
    raise UserError(f"config {args.verb}: wrong number of arguments", hint=f"usage: {USAGE}")


def _show(args: argparse.Namespace, folder: str, role: str, overrides: list[str]) -> int:
    from espnet3_core.recipe.recipe import Recipe, stem_of

    recipe = Recipe.load(folder)
    if role not in recipe.system.roles:
        roles = recipe.system.roles
        raise UserError(
            f"{recipe.system.name} has no role {role!r}",
            hint=did_you_mean(role, roles, otherwise=f"roles are: {', '.join(roles)}"),
        )
    reading = _read(recipe, role, stem_of(chosen_stems(args).get(role, role)), overrides)
    node = reading.node
    if reading.config is not None and not args.written:
        with recipe.activate():
            node = reading.config.effective
    if node is not None and args.json:
        print(json.dumps(node, indent=2))
    elif node is not None:
        print(_as_yaml(node, reading, args.origin), end="")
    for finding in reading.findings:
        print(f"espnet3: {finding.level}: {finding}", file=sys.stderr)
    return 0 if reading.config is not None else EXIT_USER


def _read(recipe: Any, role: str, stem: str, overrides: list[str]) -> Reading:
    from espnet3_core.config.load import read_roles
    from espnet3_core.errors import CheckFailed

    readings, findings = read_roles(recipe, {role: stem}, overrides)
    if findings:
        raise CheckFailed(findings)
    return readings[0]


def _as_yaml(node: dict[str, Any], reading: Reading, origin: bool) -> str:
    text = _dump(node)
    if not origin or reading.composed is None:
        return text
    from espnet3_core.config.places import dotted, read_document

    keys: dict[int, str] = {}
    origins = reading.composed.origins
    for key, place in read_document("", text).places.items():
        # A list item and its first key share a line; the deeper one, which comes later, tells more.
        if place.line not in keys or dotted(key) in origins:
            keys[place.line] = dotted(key)
    lines = text.splitlines()
    width = min(max(map(len, lines), default=0), 60)
    result = []
    for number, line in enumerate(lines, 1):
        where = keys.get(number)
        comment = f"# {origins.get(where, 'default')}" if where is not None else ""
        result.append(f"{line:<{width}}  {comment}".rstrip())
    return "\n".join(result) + "\n"


def _dump(node: dict[str, Any]) -> str:
    """YAML with lists of plain values on one line."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """A dumper of its own, so that nobody else's YAML changes."""

    def represent(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
        flow = not any(isinstance(item, (dict, list)) for item in items)
        return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flow)

    Dumper.add_representer(list, represent)
    return yaml.dump(node, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _diff(first: str, second: str, *, as_json: bool) -> int:
    from espnet3_core.config.diff import ABSENT, differences

    left, right = _operand(first), _operand(second)
    if set(left) != set(right) and len(left) == len(right) == 1:
        # Two files of one role under other names, or a plain file: what they say is compared.
        left, right = {"": next(iter(left.values()))}, {"": next(iter(right.values()))}
    found = []
    for role in [role for role in left if role in right]:
        one, two = left[role], right[role]
        filled = one[1] is not None and two[1] is not None
        found += differences(one[1] if filled else one[0], two[1] if filled else two[0], role)
    only = [f"{first} has {role}" for role in left if role not in right]
    only += [f"{second} has {role}" for role in right if role not in left]
    if as_json:
        rows = [
            {"key": item.key, "left": _json(item.left, ABSENT), "right": _json(item.right, ABSENT)}
            for item in found
        ]
        print(json.dumps(rows, indent=2))
        return 0
    for item in found:
        print(f"{item.key}: {_text(item.left)} -> {_text(item.right)}")
    for line in only:
        print(f"only {line}", file=sys.stderr)
    if not found:
        print("no difference", file=sys.stderr)
    return 0


def _json(value: Any, absent: Any) -> Any:
    return {"absent": True} if value is absent else {"value": value}


def _text(value: Any) -> str:
    from espnet3_core.config.diff import ABSENT
    from espnet3_core.config.fields import value_text

    return "(absent)" if value is ABSENT else value_text(value)


def _operand(text: str) -> dict[str, tuple[dict[str, Any], dict[str, Any] | None]]:
    """By role: the configuration as written, and with its defaults filled in when its schema is known."""
    from espnet3_core.recipe.recipe import RECIPE_FILE, Recipe

    path = Path(text)
    if path.is_file():
        conf = next((parent for parent in path.resolve().parents if parent.name == "conf"), None)
        if conf is not None and (conf.parent / RECIPE_FILE).is_file():
            stem = path.resolve().relative_to(conf).with_suffix("").as_posix()
            return _of_recipe(Recipe.load(conf.parent), [stem])
        return _of_file(path)
    folder, colon, stem = text.rpartition(":")
    if colon and Path(folder).is_dir():
        return _of_recipe(Recipe.load(folder), [stem])
    if not path.exists() and Path(RECIPE_FILE).is_file():
        here = Recipe.load()
        if text in here.stems():
            return _of_recipe(here, [text])
    recipe = Recipe.load(text)
    return _of_recipe(recipe, [role for role in recipe.system.roles if role in recipe.stems(role)])


def _of_recipe(recipe: Any, stems: list[str]) -> dict[str, tuple[dict[str, Any], dict[str, Any] | None]]:
    found: dict[str, tuple[dict[str, Any], dict[str, Any] | None]] = {}
    for stem in stems:
        role, name = _role(stem, recipe.system.roles)
        reading = _read(recipe, role, name, [])
        if reading.node is None or reading.config is None:
            from espnet3_core.errors import CheckFailed

            raise CheckFailed(reading.findings)
        with recipe.activate():
            found[role] = (reading.node, reading.config.effective)
    return found


def _role(stem: str, roles: tuple[str, ...]) -> tuple[str, str]:
    """Role and stem of ``training``, ``training_small``, ``training/small``."""
    first, slash, rest = stem.partition("/")
    if slash and first in roles:
        return first, rest
    for role in sorted(roles, key=len, reverse=True):
        if stem.rpartition("/")[2].startswith(role):
            return role, stem
    raise UserError(
        f"the role of {stem!r} is not clear",
        hint=f"write RECIPE:ROLE/STEM; roles are: {', '.join(roles)}",
    )


def _of_file(path: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any] | None]]:
    """A file outside a recipe: one that a run has saved, for example."""
    from espnet3_core.config.effective import effective
    from espnet3_core.config.places import read_document
    from espnet3_core.config.roles import SCHEMAS
    from espnet3_core.config.schema import examine

    data = read_document(path).data
    role = next((role for role in SCHEMAS if path.stem.startswith(role)), None)
    if role is None:
        return {"": (data, None)}
    report = examine(SCHEMAS[role], data, role)
    return {role: (data, None if report.findings else effective(report.instance))}
