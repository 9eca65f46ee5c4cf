"""Benchmark of the operator on a simulated cluster: its resource use and speed, against a minimal apply loop."""

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from metricat_tools.bench import minimal_apply_loop
from metricat_tools.bench.operator_cluster import (
    GROUP,
    NAMESPACE,
    BenchCluster,
    OperatorProcess,
    bench_cluster,
    operator,
    until,
)
from metricat_tools.bench.operator_drift import repairs
from metricat_tools.cluster.audit import AuditedRequest, AuditLog

_USER = "system:serviceaccount:monitoring:metricat"
_TARGETS = f"/apis/metricat.dev/v1alpha1/namespaces/{NAMESPACE}/monitoringtargets"
_EVERY = "every"
_CHILDREN = len(minimal_apply_loop.children(team=0))
_SETTLE = 15.0
_CREATED = 201

Figures = dict[str, tuple[float, str, str]]
"""By measurement: its value, unit and limit."""


def bench(sizes: list[int], targets: int, drifts: int, idle: float) -> None:
    """Measure with each number of nodes, and print the results side by side."""
    columns: list[Figures] = []
    for nodes in sizes:
        print(
            f"{nodes} nodes, {targets} targets of {GROUP} nodes; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"
        )
        with bench_cluster(f"bench-{os.getpid()}", nodes, min(targets, nodes // GROUP)) as cluster:
            columns.append(_measure(cluster, nodes, drifts, idle))
    print(f"{'':<44}" + "".join(f"{f'{nodes} nodes':>16}" for nodes in sizes) + "   limit")
    for what, (_, unit, mark) in columns[0].items():
        print(f"{what:<44}" + "".join(f"{column[what][0]:>10.2f} {unit:<5}" for column in columns) + f"   {mark}")


def _measure(cluster: BenchCluster, nodes: int, drifts: int, idle: float) -> Figures:
    found: Figures = {}

    def note(what: str, figure: float, unit: str = "", mark: str = "") -> None:
        found[what] = (figure, unit, mark)
        print(f"  {what}: {figure:.2f} {unit}", flush=True)

    minimal = minimal_apply_loop.seconds(cluster)
    note("minimal apply loop", minimal, "s")
    until("removal of the minimal apply loop's agents", lambda: not cluster.agents())
    with operator(cluster) as running:
        time.sleep(_SETTLE)
        note("memory without targets", running.memory(), "MiB")
        _create(cluster, _EVERY, {"allowEmpty": True})
        note("one target for all nodes, ready", until("all agents", lambda: _ready(cluster, _EVERY) == nodes), "s")
        cluster.plane.api.call("DELETE", f"{_TARGETS}/{_EVERY}")
        until("removal of its agents", lambda: not cluster.agents())
        _converge(cluster, nodes, minimal, running, note)
        took = sorted(repairs(cluster, drifts))
        note("drift repair p50", took[len(took) // 2], "s")
        note("drift repair p99", took[int(0.99 * (len(took) - 1))], "s", "5")
        time.sleep(_SETTLE)
        audit, cpu = AuditLog(cluster.plane.audit_log), running.cpu()
        audit.skip()
        time.sleep(idle)
        requests = _own(audit)
        note("idle requests", len(requests) / idle, "/s", "2")
        note(
            "idle writes except to the Lease",
            len([one for one in requests if one.writes and "lease" not in one.resource]),
            "",
            "0",
        )
        note("idle CPU", 100 * (running.cpu() - cpu) / idle, "%")
        note("memory", running.memory(), "MiB", "150")
        note("memory, maximum", running.memory("VmHWM"), "MiB")
    return found


def _converge(cluster: BenchCluster, nodes: int, minimal: float, running: OperatorProcess, note: Any) -> None:
    """Create all small targets together, then a target for all nodes. The small targets keep their nodes."""
    audit, cpu = AuditLog(cluster.plane.audit_log), running.cpu()
    audit.skip()
    requests: list[AuditedRequest] = []

    def made() -> bool:
        """Use the audit log: listing all children five times a second would be most of the measured work."""
        requests.extend(one for one in _own(audit) if one.namespace == NAMESPACE)
        return sum(_kind(one) == "child" and one.code == _CREATED for one in requests) == cluster.targets * _CHILDREN

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda team: _create(cluster, f"t{team}", minimal_apply_loop.spec(team)), range(cluster.targets)))
    until("every child", made)
    took = time.monotonic() - began
    note("every child of every target exists", took, "s")
    note("ratio to the minimal apply loop", took / minimal, "x", "1.5")
    until(
        "every small target",
        lambda: all(_ready(cluster, f"t{team}") == GROUP for team in range(cluster.targets)),
        every=1,
    )
    note("every small target is ready", time.monotonic() - began, "s")
    time.sleep(_SETTLE)
    note("CPU per target", 1000 * (running.cpu() - cpu) / cluster.targets, "ms")
    made()
    counts = Counter(map(_kind, requests))
    note("requests per target, without events", (counts.total() - counts["event"]) / cluster.targets, "", "7")
    for what in ("child", "status", "event", "other"):
        note(f"  of which for: {what}", counts[what] / cluster.targets)
    _create(cluster, _EVERY, {"allowEmpty": True})
    rest = nodes - cluster.targets * GROUP
    until("the target for all nodes", lambda: _ready(cluster, _EVERY) == rest and _reason(cluster) == "Overlaps")
    note("nodes of the newer target for all nodes", rest)


def _create(cluster: BenchCluster, name: str, spec: dict[str, Any]) -> None:
    metadata = {"name": name, "namespace": NAMESPACE}
    cluster.plane.api.create(
        _TARGETS,
        {"apiVersion": "metricat.dev/v1alpha1", "kind": "MonitoringTarget", "metadata": metadata, "spec": spec},
    )


def _ready(cluster: BenchCluster, name: str) -> int:
    status = cluster.plane.api.get(f"{_TARGETS}/{name}").get("status", {})
    return int(status["nodes"]["ready"]) if _is(status, "Ready") else -1


def _reason(cluster: BenchCluster) -> str:
    conditions = cluster.plane.api.get(f"{_TARGETS}/{_EVERY}").get("status", {}).get("conditions", [])
    return next((str(one["reason"]) for one in conditions if one["type"] == "Accepted"), "")


def _is(status: dict[str, Any], kind: str) -> bool:
    return any(one["type"] == kind and one["status"] == "True" for one in status.get("conditions", []))


def _own(audit: AuditLog) -> list[AuditedRequest]:
    return [one for one in audit.read() if one.user == _USER]


def _kind(one: AuditedRequest) -> str:
    last = one.resource.rpartition("/")[2]
    if last in {"status", "events"}:
        return last.removesuffix("s") if last == "events" else last
    return "child" if one.writes else "other"
