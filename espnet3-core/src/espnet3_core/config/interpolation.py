"""``${key}`` and ``${oc.env:NAME}`` in a role's values: all resolved, or all failures collected."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from espnet3_core.config.layers import merged
from espnet3_core.config.overrides import known_keys
from espnet3_core.config.places import Key, dotted
from espnet3_core.errors import Finding
from espnet3_core.names import did_you_mean

MISSING = "???"
"""OmegaConf's mark of a value that has to be set."""


def resolve(
    data: Mapping[str, Any], role: str, defaults: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Finding]]:
    """Resolve the interpolations of one role.

    Args:
        data: Merged configuration of the role.
        role: Its name, for key paths.
        defaults: Values of keys that ``data`` leaves out, which interpolations may ask for.

    Returns:
        A new plain configuration, and a finding for each value that could not be resolved.
    """
    findings = [
        Finding(
            message="a value has to be set here",
            key=f"{role}.{dotted(key)}",
            hint=f"in the file, or with {role}.{dotted(key)}=… on the command line",
        )
        for key, text in _texts(data, ())
        if text == MISSING
    ]
    wanted = [key for key, text in _texts(data, ()) if "${" in text]
    result: dict[str, Any] = copy.deepcopy(dict(data))
    if not wanted:
        return result, findings
    from omegaconf import OmegaConf

    readable = copy.deepcopy(result)
    for key in list(wanted):
        try:
            OmegaConf.create({"value": _at(data, key)})
        except Exception as error:  # a grammar error keeps OmegaConf from reading the whole configuration
            findings.append(_finding(error, f"{role}.{dotted(key)}", role, data))
            _put(readable, key, None)
            wanted.remove(key)
    whole = OmegaConf.create(merged(defaults, readable))
    for key in wanted:
        try:
            value = _select(whole, key)
        except Exception as error:  # resolvers raise what they like
            findings.append(_finding(error, f"{role}.{dotted(key)}", role, data))
            continue
        _put(result, key, value)
    return result, findings


def _at(node: Any, key: Key) -> Any:
    for part in key:
        node = node[part]
    return node


def _put(node: Any, key: Key, value: Any) -> None:
    _at(node, key[:-1])[key[-1]] = value


def _texts(node: Any, key: Key) -> Iterator[tuple[Key, str]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _texts(value, (*key, name))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _texts(value, (*key, index))
    elif isinstance(node, str):
        yield key, node


def _select(whole: Any, key: Key) -> Any:
    from omegaconf import OmegaConf

    node = _at(whole, key)
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _finding(error: Exception, key: str, role: str, data: Mapping[str, Any]) -> Finding:
    from omegaconf.errors import GrammarParseError, InterpolationKeyError, UnsupportedInterpolationType

    first = str(error).partition("\n")[0]
    hint: str | None = None
    if isinstance(error, InterpolationKeyError):
        name = first.partition("'")[2].partition("'")[0]
        inside = f"${{…}} sees keys of its own role only ({role}), without the role's name in front"
        hint = did_you_mean(name, known_keys(data), otherwise=inside)
    elif "Environment variable" in first:
        name = first.partition("'")[2].partition("'")[0]
        hint = f"set it: export {name}=…; or give a default: ${{oc.env:{name},VALUE}}"
    elif isinstance(error, UnsupportedInterpolationType):
        hint = "for environment variables write ${oc.env:NAME}"
    elif isinstance(error, GrammarParseError):
        hint = "write ${key} or ${oc.env:NAME,default}; a literal ${ is \\${"
    return Finding(message=f"the interpolation fails: {first}", key=key, hint=hint)
