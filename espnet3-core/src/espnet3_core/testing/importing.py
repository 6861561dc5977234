"""``python -m espnet3_core.testing.importing MODULE NAMESPACE HEAVY …`` tells as JSON what a plugin costs.

Run in a process of its own, where nothing has been imported before.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module

from espnet3_core.catalog import Catalog, memory_entry
from espnet3_core.manager import LoadedPlugin, PluginManager
from espnet3_core.specs import ComponentSpec


def main(module: str, namespace: str, *heavy: str) -> dict[str, object]:
    """Import a plugin module, collect its records, then import the modules of their configurations.

    Args:
        module: Import path of the plugin.
        namespace: Its namespace.
        heavy: Modules to look for.

    Returns:
        ``seconds`` of CPU time that importing took, and the heavy modules found after each step: ``module``,
        ``records``, ``configs``.
    """
    before = set(sys.modules)

    def found_of() -> list[str]:
        return [name for name in heavy if name in sys.modules and name not in before]

    start = time.process_time()
    plugin = import_module(module)
    seconds = time.process_time() - start
    found: dict[str, object] = {"seconds": seconds, "module": found_of()}
    manager = PluginManager()
    manager.register(LoadedPlugin(memory_entry(namespace), plugin))
    records = [entry.spec for entry in Catalog(manager).components()]
    found["records"] = found_of()
    for record in records:
        if isinstance(record, ComponentSpec) and record.config:
            import_module(record.config.partition(":")[0])
    found["configs"] = found_of()
    return found


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
