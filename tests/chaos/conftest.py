"""Faults on a real API server, with invariants checked throughout.

`make chaos` runs a short form of some minutes. `--long` runs the long form of hours, `--seed` repeats the random
choices of an earlier run, and `--write` writes the figures to docs/reliability.md.
"""

import os
import random
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_tools.cluster import ControlPlane
from metricat_tools.cluster.audit import AuditLog
from metricat_tools.cluster.kubeconfig import write
from support import reliability
from support.churn import Churn
from support.fault_proxy import FaultProxy
from support.harness import Cluster, RunningOperator, eventually
from support.invariants import Watcher
from support.operator_cluster import Replica, prepare, replicas

MANY_TARGETS_SECONDS = 600.0


@dataclass(frozen=True)
class Form:
    """How long the tests run."""

    name: str
    kills: int
    outage_seconds: float
    freezes: int
    """Number of times that a leader is frozen."""
    idle_seconds: float
    permissions: int
    """Number of verbs of the operator's roles that are removed, one at a time."""
    nodes: int
    """Number of nodes while the operator has a memory limit."""


SHORT = Form("short", kills=30, outage_seconds=8.0, freezes=3, idle_seconds=60.0, permissions=8, nodes=1000)
LONG = Form("long", kills=1000, outage_seconds=600.0, freezes=200, idle_seconds=1800.0, permissions=1000, nodes=5000)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--long", action="store_true", help="the long form, of hours")
    group.addoption("--seed", type=int, help="the seed of the random choices; a failed test shows its seed")
    group.addoption("--kills", type=int, help="number of SIGKILLs")
    group.addoption("--freezes", type=int, help="number of times that a leader is frozen")
    group.addoption("--soak", type=float, default=0.0, metavar="MINUTES", help="also run the soak test for this time")
    group.addoption("--write", action="store_true", help="write the figures to docs/reliability.md")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        handle, path = tempfile.mkstemp(prefix="metricat-figures-")
        os.close(handle)
        os.environ[reliability.VARIABLE] = path


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    figures = reliability.recorded()
    if figures:
        terminalreporter.write_sep("-", "figures")
        terminalreporter.write_line(reliability.table(figures))
    if config.getoption("--write", default=False) and exitstatus == 0:
        reliability.PAGE.write_text(reliability.written(reliability.PAGE.read_text(), figures))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        Path(os.environ.pop(reliability.VARIABLE)).unlink()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def form(request: pytest.FixtureRequest) -> Form:
    made = LONG if request.config.getoption("--long", default=False) else SHORT
    chosen = {name: request.config.getoption(f"--{name}", default=None) for name in ("kills", "freezes")}
    return replace(made, **{name: value for name, value in chosen.items() if value})


@pytest.fixture(scope="session")
def soak_minutes(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("--soak", default=0.0))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Random choices. A failed test shows the seed in its captured output."""
    seed = request.config.getoption("--seed", default=None)
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    sys.stderr.write(f"repeat with --seed {seed}\n")
    return random.Random(seed)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane.start(f"chaos-{os.getpid()}") as started:
        yield started


@pytest.fixture(scope="session")
def cluster(control_plane: ControlPlane) -> Cluster:
    return prepare(control_plane, nodes=0)


@pytest.fixture(scope="session")
def replica(cluster: Cluster, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Replica:
    return replicas(cluster, control_plane, tmp_path_factory.mktemp("operator"))


@pytest.fixture
def audit(control_plane: ControlPlane) -> AuditLog:
    return audit_log(control_plane)


def audit_log(control_plane: ControlPlane) -> AuditLog:
    """Return the audit log from now on."""
    log = AuditLog(control_plane.audit_log)
    log.skip()
    return log


@pytest.fixture
def churn(cluster: Cluster, rng: random.Random) -> Iterator[Churn]:
    """Changes of targets in a namespace of the test's own."""
    namespace = f"chaos-{secrets.token_hex(3)}"
    cluster.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    yield Churn(cluster, namespace, rng)
    cluster.api.call("DELETE", f"/apis/metricat.dev/v1alpha1/namespaces/{namespace}/monitoringtargets")
    cluster.api.call("DELETE", f"/api/v1/namespaces/{namespace}")


@dataclass(frozen=True)
class Rig:
    """What each test of this folder needs."""

    cluster: Cluster
    churn: Churn
    watcher: Watcher
    audit: AuditLog
    form: Form

    def create(self, targets: int) -> None:
        """Create many targets, and wait until the operator has all their objects. A busy machine needs minutes."""
        with self.watcher.excused():
            self.churn.create(targets)
            self.watcher.settle(MANY_TARGETS_SECONDS)


@pytest.fixture
def rig(cluster: Cluster, churn: Churn, audit: AuditLog, form: Form, control_plane: ControlPlane) -> Iterator[Rig]:
    """The rig. At the end of the test it checks the invariants of the whole test."""
    with Watcher(cluster.api, audit_log(control_plane)) as watcher:
        yield Rig(cluster, churn, watcher, audit, form)
        watcher.check()
    sys.stderr.write(f"longest violations in seconds: {watcher.longest}\n")


@contextmanager
def killed_at_end(*operators: RunningOperator) -> Iterator[None]:
    """Kill the operators when the context closes, and show the ends of their logs if the test failed."""
    try:
        yield
    finally:
        for one in operators:
            if one.process is not None:
                one.kill()
                sys.stderr.write(one.log.read_text()[-10_000:])


def runs(operator: RunningOperator) -> bool:
    return operator.process is not None and operator.process.poll() is None


@pytest.fixture(scope="session")
def proxy(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane.url, control_plane.ca, tmp_path_factory.mktemp("proxy")) as started:
        yield started


@pytest.fixture
def proxied_operator(replica: Replica, proxy: FaultProxy) -> Iterator[RunningOperator]:
    """A running operator behind the proxy."""
    made = replica("metricat-a", METRICAT_LOG_LEVEL="INFO")
    kubeconfig = Path(made.environment["KUBECONFIG"])
    user = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]
    write(kubeconfig, proxy.url, proxy.ca, user["token"])
    with killed_at_end(made):
        made.start()
        eventually(made.ready, 120)
        yield made
