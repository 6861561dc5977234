"""Every verb, of core and of plugins, explains itself with an example that it takes."""

from __future__ import annotations

import re
import shlex
from importlib import import_module

import pytest
from espnet3_core.cli.main import VERBS, Parser, all_verbs, main

VERB_NAMES = sorted(all_verbs())


def test_the_verbs_of_core_are_among_them() -> None:
    assert set(VERBS) <= set(VERB_NAMES)


@pytest.mark.parametrize("name", VERB_NAMES)
def test_its_help_has_an_example_that_parses(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "10000")  # lines as they are written
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    examples = re.findall(r"xample: (espnet3 .*?)(?:; |\n|$)", capsys.readouterr().out)
    assert examples, f"espnet3 {name} --help shows no example"
    for example in examples:
        words = shlex.split(example)
        assert words[:2] == ["espnet3", name]
        parser = Parser(prog=f"espnet3 {name}", allow_abbrev=False)
        module, _, function = all_verbs()[name].arguments.partition(":")
        getattr(import_module(module), function)(parser)
        parser.parse_args(words[2:])
