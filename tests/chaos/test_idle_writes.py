"""An idle operator with 200 targets writes nothing but its Lease."""

import time
from concurrent.futures import ThreadPoolExecutor

from metricat_tools.cluster.audit import AuditedRequest
from support.churn import empty, named
from support.invariants import OPERATOR
from support.operator_cluster import Replica
from support.reliability import record

from .conftest import Rig, killed_at_end

TARGETS = 200
CONVERGED_SECONDS = 600.0
QUIET_SECONDS = 30.0
LEASE = "coordination.k8s.io/leases"


def test_idle_operator_writes_nothing(rig: Rig, replica: Replica) -> None:
    operator = replica("metricat-a", METRICAT_LOG_LEVEL="INFO")
    with killed_at_end(operator):
        operator.start()
        names = [f"t{number}" for number in range(TARGETS)]
        with rig.watcher.excused(), ThreadPoolExecutor(4) as pool:  # the operator needs minutes for all of them
            list(pool.map(lambda name: rig.cluster.apply(named(rig.churn.namespace, name, empty(name))), names))
            rig.watcher.settle(CONVERGED_SECONDS)
        rig.audit.skip()
        quiet_since, limit = time.monotonic(), time.monotonic() + CONVERGED_SECONDS
        while time.monotonic() < quiet_since + QUIET_SECONDS:
            assert time.monotonic() < limit, "the operator does not stop writing"
            if writes(rig.audit.read()):
                quiet_since = time.monotonic()
            time.sleep(1)
        time.sleep(rig.form.idle_seconds)  # the measured time
        requests = rig.audit.read()
        assert operator.stop() == 0
    assert any(one.resource == LEASE and one.user == OPERATOR for one in requests), "the operator did not run"
    assert writes(requests) == []
    size = f"{TARGETS} targets, {rig.form.idle_seconds / 60:.0f} min"
    record("idle: writes except to the Lease", "0", "0", size)


def writes(requests: list[AuditedRequest]) -> list[AuditedRequest]:
    return [one for one in requests if one.user == OPERATOR and one.writes and one.resource != LEASE]
