"""All mistakes of a recipe's configuration at once, without running anything: neither GPU nor data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3_core.catalog import current_catalog
from espnet3_core.config.load import Reading, deeper_findings, placed, read_roles
from espnet3_core.config.places import Document, read_document, shown_path
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.names import closest, did_you_mean
from espnet3_core.recipe.recipe import RECIPE_FILE, Recipe
from espnet3_core.specs import SystemSpec

_LAST_STAGE = "measure"
"""A run without ``--stages`` ends here: roles of later stages may be missing."""


@dataclass(frozen=True)
class Checked:
    """What a check saw.

    Attributes:
        findings: Problems, errors before warnings, in the order of files.
        readings: The configurations that were read.
    """

    findings: tuple[Finding, ...]
    readings: tuple[Reading, ...]

    @property
    def ok(self) -> bool:
        """Whether a run may start."""
        return not any(finding.level == "error" for finding in self.findings)


def check_folder(
    directory: str | Path,
    stems: Mapping[str, Sequence[str]] | None = None,
    overrides: Sequence[str] = (),
) -> Checked:
    """Check the recipe in a folder; mistakes in its ``recipe.yaml`` do not hide those of its configurations.

    Args:
        directory: The recipe.
        stems: Files to check, by role; by default the one that is named like the role.
        overrides: ``role.key=value``.

    Raises:
        UserError: The folder is not a recipe.
    """
    try:
        recipe = Recipe.load(directory)
    except CheckFailed as error:
        shown = tuple(_shown(finding) for finding in error.findings)
        lenient = _lenient(Path(directory).expanduser().resolve())
        if lenient is None:
            return Checked(shown, ())
        checked = check(lenient, stems or {}, overrides)
        return dataclasses.replace(checked, findings=(*shown, *checked.findings))
    return check(recipe, stems or {}, overrides)


def check_recipe(
    recipe: Recipe, stems: Mapping[str, Sequence[str]] | None = None, overrides: Sequence[str] = ()
) -> list[Finding]:
    """Findings of :func:`check`."""
    return list(check(recipe, stems or {}, overrides).findings)


def check(recipe: Recipe, stems: Mapping[str, Sequence[str]], overrides: Sequence[str] = ()) -> Checked:
    """Check a recipe's requirements, system and configurations.

    Args:
        recipe: The recipe.
        stems: Files to check, by role; by default the one that is named like the role.
        overrides: ``role.key=value``.
    """
    findings = _surroundings(recipe)
    system = recipe.system
    wanted = _wanted(recipe, system, stems, overrides)
    readings: list[Reading] = []
    with recipe.activate() as active:
        for variant in range(max((len(items) for items in wanted.values()), default=0)):
            chosen = {role: items[variant] for role, items in wanted.items() if variant < len(items)}
            found, problems = read_roles(recipe, chosen, overrides, imports=True)
            findings += problems if variant == 0 else []
            readings += found
        for reading in readings:
            findings += [*reading.findings, *deeper_findings(reading, system, recipe.directory)]
        by_role = {reading.role: reading for reading in reversed(readings) if reading.node is not None}
        findings += [*_across(by_role), *_initial(by_role, recipe.directory)]
        nodes = {role: reading.node for role, reading in by_role.items() if reading.node is not None}
        findings += [_with_place(finding, by_role) for finding in active.catalog.check_config(nodes)]
    unique = dict.fromkeys(findings)
    ordered = sorted(unique, key=lambda finding: finding.level != "error")
    return Checked(tuple(ordered), tuple(readings))


def _surroundings(recipe: Recipe) -> list[Finding]:
    """Problems of requirements, own plugin and system; after each, the check goes on as well as it can."""
    findings: list[Finding] = []
    try:
        recipe.catalog  # noqa: B018 - reading it imports src/plugin.py
    except UserError as error:
        findings.append(_finding(recipe, error, None))
        _put(recipe, "catalog", current_catalog().with_requires(recipe.requires))
    try:
        recipe.check_requires()
    except UserError as error:
        findings.append(_finding(recipe, error, "requires"))
    try:
        recipe.system  # noqa: B018 - reading it looks the system up
    except UserError as error:
        findings.append(_finding(recipe, error, "system"))
        _put(recipe, "system", _guess(recipe))
    return findings


def _put(recipe: Recipe, name: str, value: Any) -> None:
    """Fill a cached property in, as reading it would have done."""
    recipe.__dict__[name] = value


def _guess(recipe: Recipe) -> SystemSpec:
    """The system that a misspelt name was probably meant to be, or one without stages."""
    systems = {entry.name: entry.spec for entry in recipe.catalog.components("system")}
    near = closest(recipe.system_ref, systems)
    spec = systems[near] if near else None
    return spec if isinstance(spec, SystemSpec) else SystemSpec(name=recipe.system_ref, stages=())


def _finding(recipe: Recipe, error: UserError, key: str | None) -> Finding:
    file = str(recipe.directory / RECIPE_FILE)
    message = error.message.removeprefix(f"{file}: ").removeprefix("system: ")
    return Finding(message=message, hint=error.hint, key=key, place=_line(recipe.directory, key))


def _line(directory: Path, key: str | None) -> str:
    document = _recipe_document(directory)
    place = document.places.get((key,)) if document and key else None
    return str(place) if place else shown_path(directory / RECIPE_FILE)


def _shown(finding: Finding) -> Finding:
    """A finding with its file as the user wants to read it."""
    file, colon, line = (finding.place or "").rpartition(":")
    return dataclasses.replace(finding, place=f"{shown_path(file)}:{line}") if colon else finding


def _recipe_document(directory: Path) -> Document | None:
    try:
        return read_document(directory / RECIPE_FILE)
    except UserError:
        return None


def _lenient(directory: Path) -> Recipe | None:
    """The recipe as far as its ``recipe.yaml`` can be understood."""
    document = _recipe_document(directory)
    if document is None:
        return None
    system, requires = document.data.get("system"), document.data.get("requires")
    if isinstance(system, dict):
        reference, is_target = system.get("_target_") or system.get("name"), "_target_" in system
    else:
        reference, is_target = system, False
    if not isinstance(reference, str):
        return None
    listed = [item for item in requires if isinstance(item, str)] if isinstance(requires, list) else []
    return Recipe(directory, directory.name, reference, is_target, tuple(listed))


def _wanted(
    recipe: Recipe, system: SystemSpec, stems: Mapping[str, Sequence[str]], overrides: Sequence[str]
) -> dict[str, Sequence[str]]:
    """Files to check: those that are asked for, those that exist, and those that a run cannot do without."""
    from espnet3_core.config.roles import SCHEMAS

    needed: set[str] = set()
    for stage in system.stages:
        if not stage.explicit:
            needed.update(stage.roles)
        if stage.name == _LAST_STAGE:
            break
    named = {text.lstrip("+~").partition(".")[0] for text in overrides}
    roles = system.roles or tuple(SCHEMAS)
    wanted: dict[str, Sequence[str]] = {}
    for role in (*roles, *(role for role in stems if role not in roles)):
        exists = (recipe.directory / "conf" / f"{role}.yaml").is_file()
        if stems.get(role):
            wanted[role] = stems[role]
        elif exists or role in needed or role in named:
            wanted[role] = (role,)
    return wanted


def _across(readings: Mapping[str, Reading]) -> list[Finding]:
    """Problems between roles: metrics of test sets that inference does not have."""
    metrics, inference = readings.get("metrics"), readings.get("inference")
    if metrics is None or inference is None:
        return []
    named, known = (metrics.node or {}).get("test_sets"), (inference.node or {}).get("test_sets")
    if not isinstance(named, list) or not isinstance(known, Mapping):
        return []
    findings = [
        Finding(
            message=f"there is no test set {name!r} in inference.test_sets",
            key=f"metrics.test_sets.{index}",
            hint=did_you_mean(
                str(name), map(str, known), otherwise=f"test sets: {', '.join(map(str, known))}"
            ),
        )
        for index, name in enumerate(named)
        if name not in known
    ]
    return placed(findings, "metrics", metrics.composed) if metrics.composed else findings


def _initial(readings: Mapping[str, Reading], directory: Path) -> list[Finding]:
    """A model to begin from that is not there; what is in it, training looks at."""
    training = readings.get("training")
    model = (training.node or {}).get("model") if training else None
    init = model.get("init_from") if isinstance(model, Mapping) else None
    source = init.get("source") if isinstance(init, Mapping) else init
    if training is None or not isinstance(source, str) or "://" in source or (directory / source).exists():
        return []
    finding = Finding(
        message=f"there is no file or folder {source}",
        key="training.model.init_from" + (".source" if isinstance(init, Mapping) else ""),
        hint="paths are relative to the recipe; espnet3 pack RECIPE makes bundles",
    )
    return placed([finding], "training", training.composed) if training.composed else [finding]


def _with_place(finding: Finding, readings: Mapping[str, Reading]) -> Finding:
    role = (finding.key or "").partition(".")[0]
    reading = readings.get(role)
    if finding.place or reading is None or reading.composed is None:
        return finding
    return placed([finding], role, reading.composed)[0]
