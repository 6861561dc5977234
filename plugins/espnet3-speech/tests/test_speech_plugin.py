import dataclasses
import importlib
import inspect
import subprocess
import sys

import pytest
from espnet3_core.specs import ComponentSpec
from espnet3_speech import _plugin

RECORDS: list[ComponentSpec] = [*_plugin.espnet3_modules(), *_plugin.espnet3_transforms()]


def load(target: str) -> type:
    module, _, name = target.partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_every_record_can_be_loaded_and_is_documented(record: ComponentSpec) -> None:
    assert record.config is not None
    config = load(record.config)
    assert dataclasses.is_dataclass(config)
    config()
    source = inspect.getsource(config)
    for field in dataclasses.fields(config):
        if field.name in config.__annotations__:
            assert f"    {field.name}:" in source
            assert '"""' in source.split(f"    {field.name}:")[1].split("\n", 2)[1], field.name
    parameters = inspect.signature(load(record.target)).parameters
    assert next(iter(parameters)) == "config"
    assert record.summary


def test_plugin_and_configurations_import_nothing_heavy() -> None:
    modules = ["espnet3_speech._plugin"] + sorted({(r.config or "").partition(":")[0] for r in RECORDS})
    heavy = "{'torch', 'numpy', 'hydra', 'pydantic'}"
    code = f"import sys, {', '.join(modules)}; print({heavy} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
