"""``espnet3 plugin from-recipe``: a recipe's ``src/`` as a package, and names in its YAML."""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espnet3_core.authoring import rewriting
from espnet3_core.authoring.adapters import Adapter, Use, adapter
from espnet3_core.authoring.identity import Identity
from espnet3_core.authoring.kinds import Part
from espnet3_core.authoring.package import write_frame
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.files import atomic_write_text, new_directory, refuse_contents
from espnet3_core.recipe.recipe import RECIPE_FILE, Recipe

_MODULE = "components"


@dataclass
class Move:
    """What the command does, or would do.

    Attributes:
        identity: Names of the package.
        package: Its folder.
        backup: Folder in the recipe that keeps what was there before.
        adapters: Classes that become components.
        system: Import path of the recipe's own system, if it has one.
        system_name: Name that this system has in its record.
        notes: What the user should know.
        changed: Files of the recipe with their old and new texts.
    """

    identity: Identity
    package: Path
    backup: Path
    adapters: list[Adapter] = field(default_factory=list)
    system: str | None = None
    system_name: str = ""
    notes: list[str] = field(default_factory=list)
    changed: dict[Path, tuple[str, str]] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def parts(self) -> list[Part]:
        """The components, as records need them."""
        parts = [_part(item) for item in self.adapters]
        if self.system is not None:
            module, _, attribute = self.system.removeprefix("src.").rpartition(".")
            ident = self.system_name.rpartition("/")[2]
            parts.append(
                Part(kind="system", ident=ident, module=module, attribute=attribute, summary="Stages")
            )
        return parts

    @property
    def names(self) -> rewriting.Names:
        """What takes the place of import paths."""
        namespace = self.identity.namespace
        named = {item.use.target: f"{namespace}/{item.use.ident}" for item in self.adapters}
        texts = {}
        if self.system is not None:
            texts = {self.system_name: f"{namespace}/{self.system_name.rpartition('/')[2]}"}
        return rewriting.Names(self.identity.package, namespace, named, texts)

    @property
    def report(self) -> str:
        """What was done and what to do next; with ``dry_run`` every changed line."""
        lines = [f"  {path} -> {name}" for path, name in self.names.components.items()]
        lines += [f"  {self.system} -> {name}" for name in self.names.texts.values()]
        lines += [f"note: {note}" for note in self.notes]
        if self.dry_run:
            for file, (old, new) in self.changed.items():
                a, b = old.splitlines(), new.splitlines()
                lines += difflib.unified_diff(a, b, str(file), str(file), lineterm="", n=1)
            return "\n".join([f"would write {self.package}, and keep what is now in {self.backup}", *lines])
        return "\n".join(
            [
                f"wrote {self.package}",
                *lines,
                f"what was there before is in {self.backup}",
                "next:",
                f"  pip install -e {self.package}",
                f"  espnet3 check {self.backup.parent}",
                "experiments trained before were made with other code: train again under another --tag",
            ]
        )


def _part(item: Adapter) -> Part:
    record = {}
    if item.use.kind in ("module", "callback"):
        record["role"] = item.use.role or ("part" if item.use.kind == "module" else "callback")
    if item.use.kind == "transform":
        record["domain"] = "audio"
    return Part(
        kind=item.use.kind,
        ident=item.use.ident,
        module=_MODULE,
        attribute=item.use.ident,
        config=item.config,
        summary=item.summary,
        record=record,
    )


def move_recipe(
    directory: Path,
    name: str,
    package: Path | None = None,
    *,
    license: str = "apache-2.0",
    author: str = "",
    dry_run: bool = False,
) -> Move:
    """Make a package of a recipe's own code, and choose it by name.

    Args:
        directory: The recipe.
        name: Namespace of the components.
        package: Folder to make; ``espnet3-<name>`` when it is None.
        license: Licence of the package.
        author: Who holds its copyright.
        dry_run: Change nothing.

    Raises:
        UserError: There is nothing to move, the recipe has mistakes, the name cannot be had, or something is
            in the way. Nothing is changed.
    """
    identity = Identity(name, license, author)
    recipe = Recipe.load(directory)
    folder, backup = identity.directory(package), recipe.directory / f"before-{identity.distribution}"
    refuse_contents(folder)
    refuse_contents(backup)
    source = recipe.directory / "src"
    if not any(source.rglob("*.py")):
        raise UserError(f"{source}: there is no code to move", hint="espnet3 plugin new starts a package")
    move = Move(identity, folder, backup, dry_run=dry_run)
    if recipe.system_is_target:
        move.system, move.system_name = recipe.system_ref, recipe.system.name
    _read_uses(move, recipe)
    code = _package_code(move, source)
    move.changed = dict(_changed(move, recipe))
    if not dry_run:
        _write(move, recipe, code)
    return move


def _read_uses(move: Move, recipe: Recipe) -> None:
    """Find the recipe's own classes in its configurations, and how each can be named."""
    from espnet3_core.config.needs import ALWAYS, BY_KIND
    from espnet3_core.instantiate import locate

    uses = _uses(recipe)
    named = {}
    for target, use in uses.items():
        reason = use.why_not()
        if reason is not None:
            move.notes.append(f"{target} is still chosen by import path: {reason}")
        else:
            named[target] = use
    idents = [use.ident for use in named.values()]
    if twice := sorted({ident for ident in idents if idents.count(ident) > 1}):
        raise UserError(f"{recipe.directory}: two classes would be called {', '.join(twice)}: rename one")
    always = {*ALWAYS, *recipe.system.provides}
    with recipe.activate():
        for target, use in named.items():
            provided = (
                always | set(BY_KIND.get(use.kind, ())) | (set(BY_KIND["model"]) if use.role else set())
            )
            move.adapters.append(adapter(use, locate(target), provided, set(named)))
    foreign = {str(node["_target_"]) for use in uses.values() for node in _nested(use.nodes)}
    for target in sorted(foreign - set(uses)):
        move.notes.append(f"{target} is chosen by import path: a bundle refuses it until a class builds it")


def _uses(recipe: Recipe) -> dict[str, Use]:
    """The recipe's own classes by import path, from all of its configurations."""
    from espnet3_core.config.load import read_roles
    from espnet3_core.config.roles import SCHEMAS

    uses: dict[str, Use] = {}
    findings: list[Finding] = []
    for role in dict.fromkeys([*recipe.system.roles, *SCHEMAS]):
        for stem in recipe.stems(role):
            readings, problems = read_roles(recipe, {role: stem}, (), imports=True)
            findings += problems
            for reading in readings:
                findings += [item for item in reading.findings if item.level == "error"]
                for part in reading.parts:
                    slot = part.component.slot
                    if part.component.target is not None and slot is not None:
                        _add(uses, part.component.to_node(), slot.kind, slot.role)
    if findings:
        raise CheckFailed(dict.fromkeys(findings))
    return uses


def _add(uses: dict[str, Use], node: Mapping[str, Any], kind: str, role: str | None) -> None:
    target = str(node["_target_"])
    if target.startswith("src."):
        uses.setdefault(target, Use(target, kind, role)).nodes.append(node)
    for name, value in node.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping) and "_target_" in inner:
                _add(uses, inner, "module", str(name))


def _nested(nodes: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for node in nodes:
        for value in node.values():
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, Mapping) and "_target_" in inner:
                    yield inner
                    yield from _nested([inner])


def _package_code(move: Move, source: Path) -> dict[str, str]:
    """The package's modules: the recipe's with other imports, and those that make components of them."""
    code: dict[str, str] = {}
    problems: list[str] = []
    for file in sorted(source.rglob("*.py")):
        text = file.read_text("utf-8")
        code[file.relative_to(source).as_posix()] = rewriting.python(text, move.names, file)
        problems += rewriting.imports_of_recipe(text, file)
    if problems:
        raise UserError(
            f"{', '.join(problems)}: this imports `dataset`, which stays in the recipe",
            hint="move what both need into src/",
        )
    made = {f"{_MODULE}.py": _components(move), f"{_MODULE}_config.py": _configs(move)}
    for name in (*made, "_plugin.py"):
        if name in code:
            raise UserError(
                f"{source / name}: a file of this name is written into the package", hint="rename it"
            )
    return {**code, **made}


def _components(move: Move) -> str:
    lines = ['"""Builds the components: each is called as ``target(config, **needs)``."""', ""]
    lines += ["from __future__ import annotations", "", "from typing import Any", ""]
    package = move.identity.package
    lines += [f"from {package} import {_MODULE}_config as configs"]
    lines += [
        f"from {'.'.join(filter(None, [package, item.use.module]))} import {item.use.attribute}"
        for item in move.adapters
    ]
    return "\n\n\n".join(["\n".join(lines), *(item.function_source() for item in move.adapters)]) + "\n"


def _configs(move: Move) -> str:
    body = "\n\n\n".join(item.dataclass_source() for item in move.adapters)
    words = set(re.findall(r"\w+", body))

    def imported(module: str, *names: str) -> list[str]:
        used = [name for name in names if name in words]
        return [f"from {module} import {', '.join(used)}"] if used else []

    lines = ['"""Options of the components. Nothing heavy is imported here."""', ""]
    lines += ["from __future__ import annotations", ""]
    lines += [*imported("dataclasses", "dataclass", "field"), *imported("typing", "Annotated", "Any"), ""]
    lines += imported("espnet3_core.component", "Component", "Slot")
    return "\n".join(lines).rstrip() + f"\n\n\n{body}\n"


def _changed(move: Move, recipe: Recipe) -> Iterator[tuple[Path, tuple[str, str]]]:
    """The recipe's files that name its code, with old and new texts."""
    requirement = f"{move.identity.distribution}>=0.1"
    for file in (recipe.directory / RECIPE_FILE, *sorted((recipe.directory / "conf").rglob("*.yaml"))):
        old = file.read_text("utf-8")
        if file.name == RECIPE_FILE:
            new = rewriting.recipe_yaml(old, move.names, requirement)
        else:
            new = rewriting.yaml_text(old, move.names)
        if new != old:
            yield file, (old, new)
    for file in (*recipe.directory.glob("*.py"), *sorted((recipe.directory / "dataset").rglob("*.py"))):
        old = file.read_text("utf-8")
        if (new := rewriting.python(old, move.names, file)) != old:
            yield file, (old, new)


def _write(move: Move, recipe: Recipe, code: Mapping[str, str]) -> None:
    """Write the package, keep what was there, then change the recipe: whatever stops it, nothing is lost."""
    source = recipe.directory / "src"
    with new_directory(move.package) as work:
        inside = work / "src" / move.identity.package
        shutil.copytree(source, inside, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        hooks = _hooks_of(code.get("plugin.py"))
        summary = f"Components of the recipe {recipe.name}"
        init = code.get("__init__.py", "")
        write_frame(work, move.identity, move.parts, summary, requires=recipe.requires, own_hooks=hooks)
        for name, text in {**code, "__init__.py": init}.items():
            atomic_write_text(inside / name, text)
    with new_directory(move.backup) as work:
        shutil.copytree(source, work / "src", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        for file, (old, _) in move.changed.items():
            atomic_write_text(work / file.relative_to(recipe.directory), old)
    for file, (_, new) in move.changed.items():
        atomic_write_text(file, new)
    shutil.rmtree(source)


def _hooks_of(text: str | None) -> list[str]:
    import ast

    tree = ast.parse(text or "")
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [name for name in functions if name.startswith("espnet3_")]
