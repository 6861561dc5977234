from pathlib import Path

import yaml
from espnet3_asr.metrics.records import METRICS
from espnet3_asr.models.records import MODELS
from espnet3_asr.searches.records import SEARCHES
from espnet3_asr.tokenizers.records import TOKENIZERS

PACKAGE = Path(__file__).parents[1]
TEXT = (PACKAGE / "README.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    exec(compile(TEXT.split("```python\n")[1].split("```")[0], "README.md", "exec"), {})
    assert "HYP: one too three four" in capsys.readouterr().out


def test_everything_that_the_plugin_brings_is_named():
    groups = (PACKAGE / "src/espnet3_asr/conf/model/asr").glob("*.yaml")
    names = [record.name for record in (*METRICS, *MODELS, *SEARCHES, *TOKENIZERS)]
    for name in [*names, *(f"asr/{path.stem}" for path in groups if yaml.safe_load(path.read_text()))]:
        assert name in TEXT, name
