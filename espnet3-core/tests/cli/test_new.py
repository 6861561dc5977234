import sys

import pytest
from espnet3_core.catalog import Catalog, use_catalog
from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import RecipeTemplateSpec


class Templates:
    """A plugin with templates for some systems."""

    def __init__(self, *systems, prepare=None):
        self.systems, self.prepare = systems, prepare

    @hookimpl
    def espnet3_recipes(self):
        return [
            RecipeTemplateSpec(system=system, path="toy_templates:small", prepare=self.prepare)
            for system in self.systems
        ]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``toy_templates`` with the template ``small`` and functions that prepare it."""
    folder = tmp_path / "site" / "toy_templates"
    (folder / "small" / "conf").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from espnet3_core.errors import UserError\n"
        "def greet(directory, data, options):\n"
        "    (directory / 'list.txt').write_text(f\"{data} {options['test']}\")\n"
        "    return {'rate': 8000, 'notes': 'two things\\nto know'}\n"
        "def fail(directory, data, options):\n"
        "    (directory / 'half').write_text('half')\n"
        "    raise UserError(f'{data}: no texts')\n"
    )
    (folder / "small" / "recipe.yaml").write_text("name: {{name}}\nsystem: {{system}}\n")
    (folder / "small" / "conf" / "training.yaml").write_text("rate: {{rate}}  # {not a placeholder}\n")
    monkeypatch.syspath_prepend(folder.parent)
    yield
    sys.modules.pop("toy_templates", None)


@pytest.fixture
def new(package, run_command):
    def run(plugin, *arguments):
        with use_catalog(Catalog.from_plugins([("toy", plugin)])):
            return run_command("new", *arguments)

    return run


def test_placeholders_are_filled_in_and_the_next_commands_shown(new, tmp_path):
    target = tmp_path / "digits"
    plugin = Templates("toy/words", prepare="toy_templates:greet")
    code, out, _ = new(plugin, "recipe", str(target), "--data", "my.tsv", "--test", "t.tsv")
    assert code == 0
    assert (target / "recipe.yaml").read_text() == "name: digits\nsystem: toy/words\n"
    assert (target / "conf" / "training.yaml").read_text() == "rate: 8000  # {not a placeholder}\n"
    assert (target / "list.txt").read_text() == "my.tsv t.tsv"
    assert out.startswith("two things\nto know\n")
    assert f"  espnet3 check {target}\n  espnet3 run {target}\n" in out


def test_nothing_is_overwritten(new, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.txt").write_text("work")
    code, _, err = new(Templates("toy/words"), "recipe", str(tmp_path / "mine"))
    assert code == 2
    assert "exists already; nothing is overwritten" in err
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["work.txt"]


def test_bad_data_leave_nothing_behind(new, tmp_path):
    code, _, err = new(
        Templates("toy/words", prepare="toy_templates:fail"), "recipe", str(tmp_path / "r" / "x")
    )
    assert code == 2
    assert "no texts" in err
    assert list((tmp_path / "r").iterdir()) == []


def test_a_placeholder_without_value_is_named(new, tmp_path):
    code, _, err = new(Templates("toy/words"), "recipe", str(tmp_path / "x"))
    assert code == 2
    assert "conf/training.yaml asks for 'rate', which has no value" in err
    assert not (tmp_path / "x").exists()


def test_the_system_must_be_named_where_there_are_several(new, tmp_path):
    plugin = Templates("toy/words", "toy/tones", prepare="toy_templates:greet")
    code, _, err = new(plugin, "recipe", str(tmp_path / "x"))
    assert code == 2
    assert "which system?" in err
    assert "--system toy/tones or toy/words" in err
    code, _, err = new(plugin, "recipe", str(tmp_path / "x"), "--system", "toy/word")
    assert code == 2
    assert "no recipe" not in err
    assert "did you mean 'toy/words'?" in err


def test_no_templates_at_all(new, tmp_path):
    code, _, err = new(Templates(), "recipe", str(tmp_path / "x"))
    assert code == 2
    assert "pip install espnet3-asr" in err


def test_only_recipes_are_made_and_test_needs_data(new, tmp_path):
    code, _, err = new(Templates("toy/words"), "plugin", str(tmp_path / "x"))
    assert code == 2
    assert "only recipes are made" in err
    code, _, err = new(Templates("toy/words"), "recipe", str(tmp_path / "x"), "--test", "t.tsv")
    assert code == 2
    assert "--test needs --data" in err
