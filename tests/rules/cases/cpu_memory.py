"""Cases of the alerts about CPU and memory."""

from __future__ import annotations

from rules.cases.samples import (
    BOTH,
    BUSY_THEN_IDLE,
    CORES,
    CRITICAL,
    INFO,
    NONE,
    WARNING,
    cpu,
    kills,
    memory,
    mode,
    oscillating,
    pids,
    replaced,
    swap,
    waiting,
)
from support.promtool import Case, change, rate, steady

CASES: dict[str, tuple[Case, ...]] = {
    "NodeCPUUsageHigh": (
        Case("busy", 18, WARNING, cpu(92)),
        Case("very busy", 123, BOTH, cpu(97)),
        Case("very busy, but not for long enough", 118, WARNING, cpu(97)),
        Case("very busy, and tasks wait", 123, BOTH, {**cpu(97), **waiting(0.7)}),
        Case("very busy, and few tasks wait", 150, WARNING, {**cpu(97), **waiting(0.4)}),
        Case("not for long enough", 14, NONE, cpu(92)),
        Case("calm", 40, NONE, cpu(89)),
        Case(
            "waiting for disks is not busy",
            20,
            NONE,
            {
                'node_cpu_seconds_total{cpu="0",mode="user"}': rate(0.2),
                'node_cpu_seconds_total{cpu="0",mode="iowait"}': rate(0.8),
            },
        ),
        Case("lingers, so that it does not flap", 32, WARNING, BUSY_THEN_IDLE),
        Case("and then ends", 38, NONE, BUSY_THEN_IDLE),
        Case("an agent that is replaced changes nothing: busy", 18.5, WARNING, replaced(cpu(92), 18)),
        Case("an agent that is replaced changes nothing: calm", 40, NONE, replaced(cpu(60), 10)),
    ),
    "NodeSteal": (
        Case("the hypervisor is busy", 18, WARNING, mode("steal", 0.15)),
        Case("a little", 40, NONE, mode("steal", 0.05)),
        Case("not for long enough", 14, NONE, mode("steal", 0.15)),
        Case("waiting for disks is not steal", 40, NONE, mode("iowait", 0.9)),
    ),
    "NodeIOWait": (
        Case("waits for disks", 18, WARNING, mode("iowait", 0.5)),
        Case("a little", 40, NONE, mode("iowait", 0.3)),
        Case("not for long enough", 14, NONE, mode("iowait", 0.5)),
        Case("busy", 40, NONE, cpu(99)),
    ),
    "NodePIDsHigh": (
        Case("few process IDs left", 12, WARNING, pids(850, 1000, 100_000)),
        Case("few threads left", 12, WARNING, pids(850, 100_000, 1000)),
        Case("nearly none left", 12, BOTH, pids(960, 1000, 1000)),
        Case("enough", 30, NONE, pids(700, 1000, 1000)),
    ),
    "NodeLoadHigh": (
        Case("high", 20, WARNING, {"node_load1": steady(4.4), **CORES}),
        Case("not for long enough", 14, NONE, {"node_load1": steady(4.4), **CORES}),
        Case("pressure is known", 40, NONE, {"node_load1": steady(9), **CORES, **waiting(0.9)}),
        Case("more cores", 30, NONE, {"node_load1": steady(3.6), **CORES}),
        Case("sways about it", 40, WARNING, {"node_load1": change(steady(4.4), 20, oscillating(4, 0.2)), **CORES}),
    ),
    "NodePressureCPU": (
        Case("high", 18, WARNING, waiting(0.3)),
        Case("low", 40, NONE, waiting(0.2)),
        Case("not for long enough", 14, NONE, waiting(0.3)),
    ),
    "NodeMemoryUsageHigh": (
        Case("high", 8, WARNING, memory(90)),
        Case("very high", 8, BOTH, memory(97)),
        Case("calm", 20, NONE, memory(84)),
        Case("full of caches", 20, NONE, {**memory(50), "node_memory_MemFree_bytes": steady(1)}),
    ),
    "NodeOOMKill": (
        Case("a container at its limit", 12, INFO, {**memory(50), **kills(10)}),
        Case("the node has no memory left", 12, CRITICAL, {**memory(96), **kills(10)}),
        Case("none", 12, NONE, {**memory(96), "node_vmstat_oom_kill": steady(7)}),
        Case("long ago", 20, NONE, {**memory(96), **kills(10)}),
        Case("a reboot", 12, NONE, {**memory(50), "node_vmstat_oom_kill": change(steady(7), 10, steady(0))}),
    ),
    "NodeMemoryMajorFaults": (
        Case("many", 20, WARNING, {"node_vmstat_pgmajfault": rate(600)}),
        Case("few", 30, NONE, {"node_vmstat_pgmajfault": rate(400)}),
    ),
    "NodeSwapUsageHigh": (
        Case("full", 20, WARNING, swap(100, 15)),
        Case("below threshold", 30, NONE, swap(100, 25)),
        Case("no swap", 30, NONE, swap(0, 0)),
    ),
    "NodePressureMemory": (
        Case("stalls", 15, WARNING, {"node_pressure_memory_stalled_seconds_total": rate(0.15)}),
        Case("stalls much", 15, BOTH, {"node_pressure_memory_stalled_seconds_total": rate(0.4)}),
        Case("stalls little", 30, NONE, {"node_pressure_memory_stalled_seconds_total": rate(0.05)}),
        Case("some tasks wait, not all", 30, NONE, {"node_pressure_memory_waiting_seconds_total": rate(0.9)}),
    ),
}
