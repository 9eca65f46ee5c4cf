"""SIGKILL of the operator at random moments: after a number of writes, or after a time since its start."""

import sys
import time
from typing import TYPE_CHECKING

from support.harness import eventually
from support.invariants import child_writes
from support.operator_cluster import Replica
from support.reliability import record

from .conftest import Rig, killed_at_end, runs

if TYPE_CHECKING:
    from metricat_tools.cluster.audit import AuditedRequest

TARGETS = 4
CONVERGED_SECONDS = 120.0
"""The goal is 15 s. A busy machine must not fail the test."""
WAIT_RATE = 0.7
"""The part of the kills after which the test waits. Otherwise the next kill hits the start of the process."""


def test_operator_converges_after_each_kill(rig: Rig, replica: Replica) -> None:
    operator, random = replica("metricat-a", METRICAT_LOG_LEVEL="INFO"), rig.churn.random
    took: list[float] = []
    with killed_at_end(operator):
        operator.start()
        rig.churn.create(TARGETS)
        rig.watcher.settle(CONVERGED_SECONDS)
        for number in range(rig.form.kills):
            rig.audit.skip()
            changes = [rig.churn.change() for _ in range(random.randint(1, 4))]
            allowed, until = random.randint(0, 8), time.monotonic() + random.uniform(0, 3)
            new: list[AuditedRequest] = []
            while time.monotonic() < until and len(child_writes(new)) < allowed:
                new += rig.audit.read()
            assert runs(operator)
            operator.kill()
            operator.start()
            sys.stderr.write(f"kill {number} after {len(child_writes(new))} writes: {changes}\n")
            if random.random() < WAIT_RATE or number + 1 == rig.form.kills:
                took.append(rig.watcher.settle(CONVERGED_SECONDS))
                assert runs(operator)
        eventually(operator.handles_signals)  # nothing to do after the last kill: it may still start
        assert operator.stop() == 0
    rig.watcher.check()
    took.sort()
    size = f"{rig.form.kills} kills"
    record("SIGKILL: runs that converged", "100 %", "100 %", size)
    record("SIGKILL: duplicates and orphans after it converged", "0", "0", size)
    record("SIGKILL: from the start until it converged, p99", f"{took[int(0.99 * (len(took) - 1))]:.1f} s", "-", size)
    record("SIGKILL: longest wrong status", f"{rig.watcher.longest.get('wrong status', 0.0):.1f} s", "≤ 60 s", size)
    writes = len(child_writes(rig.watcher.writes())) / rig.churn.changes
    record("SIGKILL: writes for each change", f"{writes:.1f}", "-", size)
