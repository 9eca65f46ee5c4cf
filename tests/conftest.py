"""Settings of all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from support.scheduling import by_scope

pytest.register_assert_rewrite("support.store_contract")

# No example has a deadline: a busy machine would exceed it. CI uses fixed examples, so a failure comes from the change.
# Runs of developers try other examples each time.
settings.register_profile("metricat", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("metricat")

CONTROL_PLANES = 2
"""Workers that run the operator's integration tests. Each starts a control plane and an operator, and mostly waits."""
_OPERATOR = "tests/integration/operator/"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Run the tests of a file in one worker, and the operator's integration tests in few workers."""
    files = sorted(file.name for file in (config.rootpath / _OPERATOR).glob("test_*.py"))

    def scope(nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if not file.startswith(_OPERATOR):
            return file
        return f"{_OPERATOR}{files.index(Path(file).name) % CONTROL_PLANES}"

    return by_scope(config, log, scope)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests first that take the longest together: those of the operator, then other integration tests."""
    items.sort(key=lambda item: (_OPERATOR not in item.nodeid, "tests/integration/" not in item.nodeid))
