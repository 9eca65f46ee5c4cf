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
    oscillating,
    replaced,
    swap,
)
from support.promtool import Case, change, rate, steady

CASES: dict[str, tuple[Case, ...]] = {
    "NodeCPUUsageHigh": (
        Case("busy", 8, WARNING, cpu(90)),
        Case("very busy", 8, BOTH, cpu(97)),
        Case("not for long enough", 4, NONE, cpu(90)),
        Case("calm", 20, NONE, cpu(79)),
        Case(
            "waiting for disks is not busy",
            20,
            NONE,
            {
                'node_cpu_seconds_total{cpu="0",mode="user"}': rate(0.2),
                'node_cpu_seconds_total{cpu="0",mode="iowait"}': rate(0.8),
            },
        ),
        Case("lingers, so that it does not flap", 14, WARNING, BUSY_THEN_IDLE),
        Case("and then ends", 18, NONE, BUSY_THEN_IDLE),
        Case("an agent that is replaced changes nothing: busy", 10.5, WARNING, replaced(cpu(90), 10)),
        Case("an agent that is replaced changes nothing: calm", 20, NONE, replaced(cpu(60), 10)),
    ),
    "NodeLoadHigh": (
        Case("high", 20, WARNING, {"node_load1": steady(4.4), **CORES}),
        Case("not for long enough", 14, NONE, {"node_load1": steady(4.4), **CORES}),
        Case("more cores", 30, NONE, {"node_load1": steady(3.6), **CORES}),
        Case("sways about it", 40, WARNING, {"node_load1": change(steady(4.4), 20, oscillating(4, 0.2)), **CORES}),
    ),
    "NodePressureCPU": (
        Case("high", 15, WARNING, {"node_pressure_cpu_waiting_seconds_total": rate(0.3)}),
        Case("low", 30, NONE, {"node_pressure_cpu_waiting_seconds_total": rate(0.2)}),
        Case("not for long enough", 9, NONE, {"node_pressure_cpu_waiting_seconds_total": rate(0.3)}),
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
