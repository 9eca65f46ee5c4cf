"""The agent: exports one node's metrics under node_exporter's names."""

import importlib
import sys
import types

__version__ = "0.1.0"


def _import_dataclasses() -> None:
    """Import dataclasses without inspect, which it uses only for classes without a docstring.

    It would take 1 MiB on every node. If dataclasses does need it, it is imported then.
    """
    if "inspect" in sys.modules or "dataclasses" in sys.modules:
        return
    placeholder = types.ModuleType("inspect")
    placeholder.__getattr__ = lambda name: getattr(importlib.import_module("inspect"), name)  # type: ignore[method-assign]
    sys.modules["inspect"] = placeholder
    try:
        importlib.import_module("dataclasses")
    finally:
        del sys.modules["inspect"]


_import_dataclasses()
