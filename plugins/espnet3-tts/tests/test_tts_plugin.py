"""The plugin's records: light to import, and true."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib import import_module

from espnet3_core.specs import ComponentSpec
from espnet3_tts import _plugin

HEAVY = ("torch", "numpy", "lightning", "hydra", "omegaconf", "pydantic")


def records():
    hooks = [getattr(_plugin, name) for name in dir(_plugin) if name.startswith("espnet3_")]
    hooks = [hook for hook in hooks if not hook.__code__.co_argcount]  # those that collect records
    return [record for hook in hooks for record in hook() if isinstance(record, ComponentSpec)]


def locate(target):
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def heavy_after(program: str) -> str:
    program += f"\nimport sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return found.stdout.strip()


def test_collecting_records_imports_nothing_heavy():
    program = (
        "from espnet3_tts import _plugin\n"
        "hooks = [getattr(_plugin, n) for n in dir(_plugin) if n.startswith('espnet3_')]\n"
        "[list(hook()) for hook in hooks if not hook.__code__.co_argcount]"
    )
    assert heavy_after(program) == "[]"


def test_configurations_import_nothing_heavy():
    modules = sorted({record.config.partition(":")[0] for record in records() if record.config})
    assert heavy_after(f"import importlib; [importlib.import_module(m) for m in {modules!r}]") == "[]"


def test_every_record_names_something_real():
    names = [(type(record), record.name) for record in records()]
    assert len(names) == len(set(names))
    for record in records():
        assert record.name.startswith("tts/")
        assert record.summary
        assert callable(locate(record.target))
        if record.config:
            assert dataclasses.is_dataclass(locate(record.config))


def test_the_synthesis_system():
    (system,) = _plugin.espnet3_systems()
    assert system.name == "tts/synthesis"
    assert [stage.name for stage in system.stages] == [
        "create_dataset", "train_tokenizer", "collect_stats", "train", "infer", "measure", "pack_model",
        "upload_model", "pack_demo", "upload_demo",
    ]  # fmt: skip
