"""For authors of plugins: classes whose tests a component must pass, fixtures, and a little real speech.

A test class inherits the class of its component's kind and names the component::

    from espnet3_core.testing import ModelConformance

    class TestRNNCTC(ModelConformance):
        name = "acme/rnn_ctc"
        config = {"hidden_size": 8}

``pip install 'espnet3-core[testing]'`` brings pytest, which finds the fixtures ``catalog``, ``cli`` and
``speech`` (:mod:`espnet3_core.testing.fixtures`) by itself. Nothing here is imported until it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espnet3_core.testing.callback import CallbackConformance
    from espnet3_core.testing.collator import CollatorConformance
    from espnet3_core.testing.conformance import Conformance
    from espnet3_core.testing.dataset import DatasetConformance
    from espnet3_core.testing.executor import ExecutorConformance
    from espnet3_core.testing.field import FieldConformance
    from espnet3_core.testing.metric import MetricConformance
    from espnet3_core.testing.model import ModelConformance
    from espnet3_core.testing.module import ModuleConformance
    from espnet3_core.testing.optimizer import OptimizerConformance, SchedulerConformance
    from espnet3_core.testing.plugin import PluginConformance
    from espnet3_core.testing.publisher import PublisherConformance
    from espnet3_core.testing.search import SearchConformance
    from espnet3_core.testing.system import SystemConformance
    from espnet3_core.testing.tokenizer import TokenizerConformance
    from espnet3_core.testing.transform import TransformConformance

__all__ = [
    "CallbackConformance",
    "CollatorConformance",
    "Conformance",
    "DatasetConformance",
    "ExecutorConformance",
    "FieldConformance",
    "MetricConformance",
    "ModelConformance",
    "ModuleConformance",
    "OptimizerConformance",
    "PluginConformance",
    "PublisherConformance",
    "SchedulerConformance",
    "SearchConformance",
    "SystemConformance",
    "TokenizerConformance",
    "TransformConformance",
]

_ELSEWHERE = {"Conformance": "conformance", "SchedulerConformance": "optimizer"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _ELSEWHERE.get(name, name.removesuffix("Conformance").lower())
    return getattr(import_module(f"{__name__}.{home}"), name)
