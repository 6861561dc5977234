"""Pages made from the code before Sphinx reads the others: hooks, roles, components, and messages.

They are written to ``reference/`` and not kept in git: what they say cannot differ from what the code does.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import messages
from espnet3_core import hookspecs
from espnet3_core.catalog import current_catalog
from espnet3_core.cli.show import option_lines
from espnet3_core.config.fields import fields_of, import_target
from espnet3_core.config.roles import SCHEMAS
from espnet3_core.specs import KINDS, ComponentSpec, SystemSpec

HOOK = re.compile(r"^espnet3_\w+$")


def hooks() -> dict[str, Any]:
    """Hook specifications by name, in the order of the module."""
    return {name: value for name, value in vars(hookspecs).items() if HOOK.match(name)}


def hook_page(name: str, hook: Any) -> str:
    """Signature, contract and example of a hook."""
    contract, found, example = inspect.getdoc(hook).partition("Example::")
    if not found:
        raise ValueError(f"{name}: its docstring has no example")
    signature = str(inspect.signature(hook)).replace("specs.", "").replace("'", "")
    arguments = re.sub(r"(?m)^Args:\n", "**Arguments**\n\n", _code(contract))
    arguments = re.sub(r"(?m)^    (\w+): ", r"- `\1`: ", arguments)
    code = inspect.cleandoc(example)
    return f"# `{name}`\n\n```python\ndef {name}{signature}\n```\n\n{arguments}\n\n```python\n{code}\n```\n"


def role_page(role: str, schema: type) -> str:
    """Every key of a configuration file."""
    lines = "\n".join(option_lines(fields_of(schema), ""))
    return f"# {role}.yaml\n\n{_code(inspect.getdoc(schema) or '')}\n\n```text\n{lines}\n```\n"


def kind_page(kind: str) -> str:
    """Every component of a kind that core and its sister packages bring."""
    place = KINDS[kind].key
    parts = [f"# {kind}\n\nChosen at `{place}`. `espnet3 show NAME` prints the same.\n"]
    for entry in sorted(current_catalog().components(kind), key=lambda entry: entry.name):
        parts.append(f"## {entry.name}\n\n{entry.spec.summary}\n" + "".join(_details(entry.spec)))
    return "\n".join(parts)


def _details(spec: Any) -> Iterator[str]:
    if isinstance(spec, SystemSpec):
        rows = (f"| `{s.name}` | {', '.join(s.roles)} | {s.summary} |" for s in spec.stages)
        yield "\n| stage | reads | |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    elif isinstance(spec, ComponentSpec) and spec.config is not None:
        options = "\n".join(option_lines(fields_of(import_target(spec.config)), ""))
        yield f"\n```text\n{options}\n```\n" if options else ""


def _code(text: str) -> str:
    """Roles and double backticks of docstrings as Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`").strip()


def index(title: str, pages: Iterable[str]) -> str:
    """A page that lists others."""
    entries = "\n".join(pages)
    return f"# {title}\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"


def pages() -> dict[str, str]:
    """Text of every page by its path below ``reference/``."""
    made = {f"hooks/{name}": hook_page(name, hook) for name, hook in hooks().items()}
    made |= {f"configuration/{role}": role_page(role, import_target(at)) for role, at in SCHEMAS.items()}
    made |= {f"components/{kind}": kind_page(kind) for kind in KINDS if current_catalog().components(kind)}
    made |= {f"messages/{source.name}": messages.page(source) for source in messages.SOURCES}
    for group, title in (("hooks", "Hooks"), ("configuration", "Configuration keys"),
                         ("components", "Components"), ("messages", "Messages")):  # fmt: skip
        names = [path.partition("/")[2] for path in made if path.startswith(f"{group}/")]
        made[f"{group}/index"] = index(title, names)
    return made


def write(app: Any) -> None:
    """Write what has changed, and remove what is gone."""
    folder = Path(app.srcdir) / "reference"
    made = pages()
    for old in folder.rglob("*.md") if folder.is_dir() else ():
        if old.relative_to(folder).with_suffix("").as_posix() not in made:
            old.unlink()
    for path, text in made.items():
        target = folder / f"{path}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_text("utf-8") != text:
            target.write_text(text, "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
