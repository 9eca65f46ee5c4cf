"""Import dataclasses without inspect. The program imports this module before all others of the agent.

`dataclasses` uses `inspect` only for classes without a docstring, and `inspect` would take 1 MiB on every node. If
`dataclasses` does need it, it is imported then. See docs/design/0015-what-a-scrape-costs.md.
"""

import importlib
import sys
import types


def import_dataclasses() -> None:
    """Import dataclasses with a placeholder for inspect, unless one of them is imported already."""
    if "inspect" in sys.modules or "dataclasses" in sys.modules:
        return
    placeholder = types.ModuleType("inspect")
    placeholder.__getattr__ = lambda name: getattr(importlib.import_module("inspect"), name)  # type: ignore[method-assign]
    sys.modules["inspect"] = placeholder
    try:
        importlib.import_module("dataclasses")
    finally:
        del sys.modules["inspect"]


import_dataclasses()
