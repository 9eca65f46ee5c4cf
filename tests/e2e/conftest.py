"""Fixtures: a cluster of the tests' own, set up as the demo sets it up.

With `--numprocesses 2 --dist loadscope`, one worker runs the tests that use the cluster, and the other worker the other
tests: most tests of the cluster wait. In a single process, the cluster starts in a thread when the tests start. Tests
that do not use it run first, so they do not wait for it.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from metricat_tools.cluster import NodeCluster
from metricat_tools.cluster.processes import ClusterProcesses
from metricat_tools.cluster.state import State
from metricat_tools.demo import setup
from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.demo.steps import Steps
from metricat_tools.images import ensure_images
from support.scheduling import by_scope

CLUSTER = os.environ.get("METRICAT_E2E_CLUSTER", "e2e")
"""The cluster's name. Two runs at the same time need two names."""
KEEP = "METRICAT_E2E_KEEP"
"""Set this variable to keep the cluster after the tests, and to reuse an existing cluster."""


FIXTURE = "demo_and_nodes"

Started = Future[tuple[NodeCluster, DemoCluster]]


def uses_cluster(item: pytest.Item) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ())


def needs_idle_cpus(item: pytest.Item) -> bool:
    return item.path.name == "test_alert.py"


@cache
def file_uses_cluster(file: Path) -> bool:
    """Return whether the file's tests use the cluster: the scheduler knows only names, not fixtures."""
    return "DemoCluster" in file.read_text()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Run all tests of the cluster in one worker, and all of each other folder in one."""

    def scope(nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return FIXTURE if file_uses_cluster(config.rootpath / file) else file.rpartition("/")[0]

    return by_scope(config, log, scope)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that do not use the cluster first, and those that need idle CPUs last."""
    wrong = [item.nodeid for item in items if uses_cluster(item) and not file_uses_cluster(item.path)]
    assert wrong == [], "a file whose tests use the cluster must name the type DemoCluster"
    items.sort(key=lambda item: (uses_cluster(item), needs_idle_cpus(item)))


@pytest.fixture(scope="session", autouse=True)
def early_start(request: pytest.FixtureRequest) -> None:
    """Start the cluster before the tests that do not use it, unless another worker runs those tests."""
    if "PYTEST_XDIST_WORKER" not in os.environ and any(uses_cluster(item) for item in request.session.items):
        request.getfixturevalue("starting")


@pytest.fixture(scope="session")
def starting(request: pytest.FixtureRequest) -> Iterator[Started]:
    """Start the cluster in a thread."""
    keep = KEEP in os.environ
    if not keep:
        setup.remove(CLUSTER)
    with ThreadPoolExecutor(2, thread_name_prefix="cluster") as pool:
        future = pool.submit(setup.own_cluster, CLUSTER, Steps())
        if any("hub" in getattr(item, "fixturenames", ()) for item in request.session.items):
            pool.submit(ensure_images, "hub")  # its tests run late; they raise the error of a failed build
        try:
            yield future
        finally:
            while not future.done():  # the tests ended early
                ClusterProcesses(State(CLUSTER).folder).kill_all()
                wait([future], timeout=1)
            if not future.exception():
                future.result()[0].control_plane.detach()
            if not keep:
                setup.remove(CLUSTER)


@pytest.fixture(scope="session")
def demo_and_nodes(starting: Started) -> tuple[NodeCluster, DemoCluster]:
    """Two nodes with the monitoring stack, Metricat, and the demo's MonitoringTarget."""
    return starting.result()


@pytest.fixture
def demo(demo_and_nodes: tuple[NodeCluster, DemoCluster]) -> DemoCluster:
    """The demo's cluster. A test that breaks it must restore it, or wait until the operator has."""
    return demo_and_nodes[1]


@pytest.fixture
def cluster(demo_and_nodes: tuple[NodeCluster, DemoCluster]) -> NodeCluster:
    """The nodes and the control plane of the demo's cluster."""
    return demo_and_nodes[0]
