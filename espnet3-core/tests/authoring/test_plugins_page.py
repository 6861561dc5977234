"""The commands of docs/plugins.md; ``nox -s packages`` runs its first two parts in a clean environment."""

import re
import shlex
from pathlib import Path

import pytest
from espnet3_core.authoring.kinds import PARTS
from espnet3_core.cli.main import VERBS, Parser
from espnet3_core.cli.plugin import arguments

PAGE = (Path(__file__).parents[3] / "docs/plugins.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    line.partition(" #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()
]


def test_the_page_starts_with_the_commands_that_a_new_package_tells(in_folder, run_command):
    code, out, _ = run_command(*shlex.split(COMMANDS[0])[1:])
    assert code == 0
    told = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    assert COMMANDS[1:3] == told
    listing = re.search(r"```\nespnet3-acme/\n(.*?)```", PAGE, re.DOTALL)
    for path in re.findall(r"^  (\S+)", listing[1], re.MULTILINE):
        assert (in_folder / "espnet3-acme" / path).is_file()


@pytest.mark.parametrize("command", [text for text in COMMANDS if text.startswith("espnet3")])
def test_every_command_can_be_understood(command):
    _, verb, *words = shlex.split(command)
    assert verb in VERBS
    if verb == "plugin":
        parser = Parser()
        arguments(parser)
        parser.parse_args(words)


def test_the_page_names_every_kind():
    (sentence,) = re.findall(r"There are templates for\n(.*?)\.", PAGE, re.DOTALL)
    assert set(re.split(r",\s+| and ", sentence.replace("\n", " "))) == set(PARTS)
