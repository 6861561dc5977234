import doctest
from importlib import import_module
from pathlib import Path

import pytest
from espnet3_tts.records import CALLBACKS, METRICS, MODELS, MODULES, SEARCHES, TOKENIZERS

PACKAGE = Path(__file__).parents[1]
TEXT = (PACKAGE / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    exec(compile(TEXT.split("```python\n")[1].split("```")[0], "README.md", "exec"), {})
    assert "f i v e <space> s n o w m a n" in capsys.readouterr().out


def test_everything_that_the_plugin_brings_is_named():
    for record in (*CALLBACKS, *METRICS, *MODELS, *MODULES, *SEARCHES, *TOKENIZERS):
        assert record.name in TEXT, record.name


@pytest.mark.parametrize(
    "module", ["text.numbers", "text.english", "text.spelling", "synthesis.pieces", "metrics.judged"]
)
def test_examples_in_docstrings(module):
    found = doctest.testmod(import_module(f"espnet3_tts.{module}"))
    assert found.attempted
    assert not found.failed
