"""A recipe's files with ``src`` replaced by the package that it became; comments and layout stay."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet3_core.errors import UserError

_PATH = re.compile(r"src(\.\w+)+(:\w+(\.\w+)*)?")
_RECIPE_NAME = re.compile(r"recipe/[a-z][a-z0-9_]*")
Edit = tuple[int, int, str]
"""Start and end in a text, and what takes that place."""


@dataclass(frozen=True)
class Names:
    """What becomes of the names that only the recipe knew.

    Attributes:
        package: Takes the place of ``src``.
        namespace: Takes the place of ``recipe`` in names that ``src/plugin.py`` registered.
        components: Registered name by import path (``src.model.MyModel``).
        texts: Further names in the code, with what becomes of them: that of the recipe's own system.
    """

    package: str
    namespace: str
    components: Mapping[str, str]
    texts: Mapping[str, str]

    def path(self, text: str) -> str:
        """An import path in the package."""
        return self.package + text.removeprefix("src")


def applied(text: str, edits: Iterator[Edit]) -> str:
    """A text after edits that do not overlap; what an anchor of YAML repeats is edited once."""
    for start, end, new in sorted(set(edits), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def python(text: str, names: Names, file: Path) -> str:
    """A Python file: imports of ``src``, and import paths and names in its texts.

    Raises:
        UserError: It is no Python, or code of the package imports the recipe's ``dataset``.
    """
    try:
        tree = ast.parse(text, str(file))
    except SyntaxError as error:
        raise UserError(f"{file}:{error.lineno}: {error.msg}") from error
    # Columns of syntax trees count bytes.
    data = text.encode("utf-8").decode("latin-1")
    starts = [0]
    for line in data.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    changed = applied(data, _python_edits(tree, data, starts, names))
    return changed.encode("latin-1").decode("utf-8")


def _python_edits(tree: ast.Module, data: str, starts: list[int], names: Names) -> Iterator[Edit]:
    nodes = list(ast.walk(tree))
    imported = [
        alias for node in nodes if isinstance(node, ast.Import) for alias in node.names if _is_src(alias.name)
    ]
    whole = any(alias.asname is None for alias in imported)  # `import src.model` makes the name src
    called = [node for node in nodes if isinstance(node, ast.Name) and node.id == "src" and whole]
    own: list[ast.alias | ast.Name] = [*imported, *called]
    bound = {starts[node.lineno - 1] + node.col_offset for node in own}
    # Before Python 3.12 the pieces of an f-string stand where the whole begins.
    pieces = {id(piece) for node in nodes if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in nodes:
        if not isinstance(node, (ast.stmt, ast.expr, ast.alias)) or id(node) in pieces:
            continue
        start = starts[node.lineno - 1] + node.col_offset
        if isinstance(node, ast.ImportFrom) and not node.level and _is_src(node.module):
            at = data.index("src", start + len("from"))
            yield at, at + 3, names.package
        elif isinstance(node, (ast.alias, ast.Name)) and start in bound:
            yield start, start + 3, names.package
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            end = starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
            if _PATH.fullmatch(node.value):
                yield start, end, f'"{names.path(node.value)}"'
            elif node.value in names.texts:
                yield start, end, f'"{names.texts[node.value]}"'
            elif _RECIPE_NAME.fullmatch(node.value):
                yield start, end, f'"{names.namespace}/{node.value.partition("/")[2]}"'


def _is_src(module: str | None) -> bool:
    return (module or "").partition(".")[0] == "src"


def imports_of_recipe(text: str, file: Path) -> Iterator[str]:
    """Places where a file imports the recipe's ``dataset``, which a package cannot."""
    for node in ast.walk(ast.parse(text, str(file))):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        modules = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            modules = [] if node.level else [node.module or ""]
        if any(module.partition(".")[0] == "dataset" for module in modules):
            yield f"{file}:{node.lineno}"


def yaml_text(text: str, names: Names) -> str:
    """A YAML file: ``_target_`` nodes become names, and other import paths those of the package."""
    import yaml

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return text if root is None else applied(text, _yaml_edits(root, names))


def _yaml_edits(node: object, names: Names, key: str = "") -> Iterator[Edit]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            target = str(value.value) if name.value == "_target_" else ""
            if target in names.components:
                yield name.start_mark.index, name.end_mark.index, "name"
                yield value.start_mark.index, value.end_mark.index, names.components[target]
            else:
                yield from _yaml_edits(value, names, str(name.value))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _yaml_edits(value, names)
    elif isinstance(node, yaml.ScalarNode):
        span = node.start_mark.index, node.end_mark.index
        if _PATH.fullmatch(node.value):
            yield *span, names.path(node.value)
        elif key in ("name", "system") and _RECIPE_NAME.fullmatch(node.value):
            yield *span, f"{names.namespace}/{node.value.partition('/')[2]}"


def recipe_yaml(text: str, names: Names, requirement: str) -> str:
    """``recipe.yaml``: the system by name, and the package among the requirements."""
    import yaml

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    edits: list[Edit] = []
    listed = False
    for name, value in root.value:
        if name.value == "requires" and isinstance(value, yaml.SequenceNode) and value.value:
            listed = True
            end, new = value.value[-1].end_mark.index, f", {requirement}"
            if not value.flow_style:
                new = f"\n{' ' * (value.value[0].start_mark.column - 2)}- {requirement}"
                end = text.find("\n", end) if "\n" in text[end:] else len(text)  # behind a comment
            edits.append((end, end, new))
        elif name.value == "requires":
            listed = True
            edits.append((value.start_mark.index, value.end_mark.index, f"[{requirement}]"))
        elif name.value == "system" and isinstance(value, yaml.MappingNode) and names.texts:
            (system,) = names.texts.values()
            edits.append((value.start_mark.index, value.end_mark.index, system))
        else:
            edits += _yaml_edits(value, names, str(name.value))
    changed = applied(text, iter(edits))
    return changed if listed else f"{changed.rstrip()}\nrequires: [{requirement}]\n"
