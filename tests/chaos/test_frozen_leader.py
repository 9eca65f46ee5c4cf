"""SIGSTOP and SIGCONT of the leader, with two replicas: the other one takes over, and writes never overlap."""

import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest

from support.harness import Cluster, RunningOperator, eventually
from support.invariants import child_writes
from support.operator_cluster import Replica
from support.reliability import record

from .conftest import Rig, killed_at_end, runs

TARGETS = 2
CONVERGED_SECONDS = 120.0
TAKEOVER_SECONDS = 60.0
"""The goal is 15 s. A busy machine must not fail the test."""


@pytest.fixture
def pair(replica: Replica) -> Iterator[dict[str, RunningOperator]]:
    """Two ready replicas, by the name of their pod."""
    made = {name: replica(name, METRICAT_LOG_LEVEL="INFO") for name in ("metricat-a", "metricat-b")}
    with killed_at_end(*made.values()):
        for one in made.values():
            one.start()
        for one in made.values():
            eventually(one.ready, 120)
        yield made


def signal_to(operator: RunningOperator, number: signal.Signals) -> None:
    assert operator.process is not None
    operator.process.send_signal(number)


def holder(cluster: Cluster) -> str:
    lease = cluster.get("lease", "metricat", "monitoring") or {}
    return str(lease.get("spec", {}).get("holderIdentity", ""))


def leads(cluster: Cluster, name: str) -> bool:
    return holder(cluster) == name


def test_replica_takes_over_from_a_frozen_leader(rig: Rig, pair: dict[str, RunningOperator]) -> None:
    rig.churn.create(TARGETS)
    rig.watcher.settle(CONVERGED_SECONDS)
    took: list[float] = []
    writers: list[str] = []
    for _ in range(rig.form.freezes):
        leader = holder(rig.cluster)
        other = next(name for name in pair if name != leader)
        rig.churn.change()  # the leader may be at work when it stops
        signal_to(pair[leader], signal.SIGSTOP)
        try:
            began = time.monotonic()
            sys.stderr.write(f"{leader} frozen: {rig.churn.change()}\n")
            eventually(partial(leads, rig.cluster, other), TAKEOVER_SECONDS)
            took.append(time.monotonic() - began)
            rig.churn.change()
        finally:
            signal_to(pair[leader], signal.SIGCONT)
        rig.churn.change()
        rig.watcher.settle(CONVERGED_SECONDS)
        writers.append(other)
    assert all(map(runs, pair.values()))
    by = {one.pod for one in child_writes(rig.watcher.writes())}
    assert by == set(pair), "both replicas must have written, or the check of overlaps checks nothing"
    assert all(first != second for first, second in pairwise(writers))
    rig.watcher.check()
    size = f"{rig.form.freezes} freezes"
    record("frozen leader: takeover, longest", f"{max(took):.1f} s", "≤ 15 s", size)
    record("frozen leader: overlapping writes", "0", "0", size)
