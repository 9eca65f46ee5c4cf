"""Distribution of tests to the workers of pytest-xdist."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from xdist.remote import Producer


def by_scope(config: pytest.Config, log: Producer, scope: Callable[[str], str]) -> LoadScopeScheduling | None:
    """Return a scheduler that runs all tests of a scope in one worker; None without `--dist loadscope`.

    Args:
        config: the settings of this run.
        log: the log of the scheduler.
        scope: returns the scope of a test by its ID, such as `tests/unit/agent/test_heap.py::test_trim`.
    """
    if config.getoption("dist") != "loadscope":
        return None
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = scope
    return scheduler
