"""``python -m espnet3_core.testing.importing MODULE``: what importing a plugin costs, as JSON.

Run in a process of its own, where nothing has been imported before.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module

from espnet3_core.catalog import Catalog, memory_entry
from espnet3_core.manager import HEAVY_MODULES, LoadedPlugin, PluginManager
from espnet3_core.specs import ComponentSpec


def main(module: str, namespace: str) -> dict[str, object]:
    """Import a plugin module, collect its records, then import the modules of their configurations.

    Returns:
        ``seconds`` of CPU time that importing took, and the heavy modules found after each step: ``module``,
        ``records``, ``configs``.
    """
    before = _heavy()
    start = time.process_time()
    plugin = import_module(module)
    seconds = time.process_time() - start
    found: dict[str, object] = {"seconds": seconds, "module": _heavy() - before}
    manager = PluginManager()
    manager.register(LoadedPlugin(memory_entry(namespace), plugin))
    records = [entry.spec for entry in Catalog(manager).components()]
    found["records"] = _heavy() - before
    for record in records:
        if isinstance(record, ComponentSpec) and record.config:
            import_module(record.config.partition(":")[0])
    found["configs"] = _heavy() - before
    return found


def _heavy() -> set[str]:
    return {name for name in HEAVY_MODULES if name in sys.modules}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:]), default=sorted))
