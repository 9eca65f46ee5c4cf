"""Faults of the operator's process: it runs out of descriptors, or the clock of its machine jumps."""

import json
import os
import resource
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from support.fault_proxy import FaultProxy
from support.harness import Cluster, Manifest, RunningOperator, eventually
from support.operator_cluster import Replica
from support.reliability import record

from .conftest import Rig, killed_at_end, runs

TARGETS = 2
SETTLED_SECONDS = 120.0
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
STEP_SECONDS = 3600


def test_operator_recovers_from_exhausted_descriptors(
    rig: Rig, proxied_operator: RunningOperator, proxy: FaultProxy
) -> None:
    operator = proxied_operator
    assert operator.process is not None
    pid = operator.process.pid
    rig.churn.create(TARGETS)
    rig.watcher.settle(SETTLED_SECONDS)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) // 2, hard))  # noqa: PTH208 -- a count
    with rig.watcher.excused():
        proxy.drop()
        changes = [rig.churn.change() for _ in range(4)]
        sys.stderr.write(f"{changes}\n")
        eventually(lambda: "Too many open files" in operator.log.read_text(), 60)
        time.sleep(rig.form.outage_seconds)  # the length of the fault
        assert runs(operator)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    took = rig.watcher.settle(SETTLED_SECONDS)
    assert runs(operator)
    record("out of descriptors: recovery", f"{took:.1f} s", "≤ 15 s", f"{rig.form.outage_seconds:.0f} s")


def is_renewed(cluster: Cluster, since: Manifest | None) -> bool:
    return cluster.get("lease", "metricat", "monitoring") != since


@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed")
def test_operator_keeps_its_lease_when_the_clock_jumps(rig: Rig, replica: Replica, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    operator = replica(
        "metricat-a",
        METRICAT_LOG_LEVEL="INFO",
        LD_PRELOAD=str(FAKETIME),
        FAKETIME_TIMESTAMP_FILE=str(clock),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    with killed_at_end(operator):
        operator.start()
        rig.churn.create(TARGETS)
        rig.watcher.settle(SETTLED_SECONDS)
        for offset in (f"+{STEP_SECONDS}", "+0"):  # an hour on, then an hour back
            clock.write_text(offset)
            rig.churn.change()
            renewed = rig.cluster.get("lease", "metricat", "monitoring")
            eventually(partial(is_renewed, rig.cluster, renewed), SETTLED_SECONDS)
            rig.watcher.settle(SETTLED_SECONDS)
        events = [json.loads(line)["event"] for line in operator.log.read_text().splitlines()]
        assert "became leader" in events
        assert "lost leadership" not in events
        assert operator.stop() == 0
        assert operator.errors() == []
    record("clock jumps by an hour, and back: lost leadership", "0 times", "0", "2 jumps")
