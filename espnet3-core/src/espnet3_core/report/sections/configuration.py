"""The resolved configurations, key by key, to be searched and folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError
from espnet3_core.recipe.logs import hide_secrets
from espnet3_core.report.evidence import Evidence, read_mapping
from espnet3_core.report.html import Markup, h, missing


def configuration(evidence: Evidence) -> Iterator[Markup]:
    """A fold per file, and in it one per key of the first level."""
    folder = evidence.place.experiment.config
    files = sorted(folder.rglob("*.yaml"), key=lambda file: (file.stem != "training", file))
    if not files:
        yield missing("No stage has saved its configuration yet", evidence.place.command("train"))
        return
    box = h("input", type="search", id="config-search", placeholder="name or value", autocomplete="off")
    yield h("p", h("label", "Search ", box), h("output", id="config-found"), class_="search", hidden=True)
    for file in files:
        yield _file(file, file.relative_to(folder).with_suffix("").as_posix())


def _file(file: Path, name: str) -> Markup:
    try:
        node = read_mapping(file)
    except UserError as error:
        return h("p", error.message, class_="warning")
    groups = [(str(key), list(leaves(value, str(key)))) for key, value in node.items()]
    lone = [leaf for key, found in groups for leaf in found if leaf[0] == key]
    nested = [(key, found) for key, found in groups if not any(leaf[0] == key for leaf in found)]
    return h(
        "details",
        h("summary", h("h3", name)),
        _keys(lone) if lone else None,
        [h("details", h("summary", key, h("small", _gist(found))), _keys(found)) for key, found in nested],
        class_="config",
    )


def leaves(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Dotted keys with their values as YAML would say them; lists of plain values stay together.

    The page is made to be passed on, so values of secrets are taken out, as in logs.
    """
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from leaves(value, f"{path}.{key}")
    elif isinstance(node, list) and any(isinstance(entry, (dict, list)) for entry in node):
        for index, entry in enumerate(node):
            yield from leaves(entry, f"{path}[{index}]")
    else:
        (shown,) = hide_secrets([f"{path}={_plain(node)}"])
        yield path, shown.removeprefix(f"{path}=")


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return str(value)


def _gist(found: list[tuple[str, str]]) -> str:
    """The component that a group chooses, or how many keys it has."""
    names = [value for key, value in found if key.count(".") == 1 and key.endswith((".name", "._target_"))]
    return names[0] if names else f"{len(found)} keys"


def _keys(found: list[tuple[str, str]]) -> Markup:
    rows = [h("tr", h("th", key, scope="row"), h("td", h("code", value))) for key, value in found]
    return h("table", h("tbody", rows), class_="keys")
