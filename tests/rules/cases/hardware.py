"""Cases of the alerts about the hardware and the kernel."""

from __future__ import annotations

from rules.cases.samples import BOTH, CRITICAL, INFO, NONE, WARNING, clock_source, descriptors, memory_errors, sensor
from support.promtool import Case, change, steady

CASES: dict[str, tuple[Case, ...]] = {
    "NodeFileDescriptorsHigh": (
        Case("few left", 20, WARNING, descriptors(80)),
        Case("very few left", 20, BOTH, descriptors(95)),
        Case("many left", 30, NONE, descriptors(60)),
        Case("no limit", 30, NONE, descriptors(1e-10, whole=9.22e18)),
    ),
    "NodeClockSkew": (
        Case("ahead", 15, WARNING, {"node_timex_offset_seconds": steady(0.2)}),
        Case("behind, and more so", 20, WARNING, {"node_timex_offset_seconds": lambda at: -0.1 - at / 10000}),
        Case("coming nearer", 20, NONE, {"node_timex_offset_seconds": lambda at: 1 - at / 10000}),
        Case("right", 30, NONE, {"node_timex_offset_seconds": steady(0.001)}),
    ),
    "NodeClockNotSynchronising": (
        Case("nothing sets it", 20, WARNING, clock_source(0, 16)),
        Case("set", 30, NONE, clock_source(1, 16)),
        Case("not long ago", 30, NONE, clock_source(0, 2)),
    ),
    "NodeTemperatureHigh": (
        Case("hot", 15, WARNING, sensor(96, 100)),
        Case("too hot", 15, BOTH, sensor(101, 100)),
        Case("warm", 30, NONE, sensor(90, 100)),
        Case("no critical temperature", 30, NONE, sensor(50, 0)),
        Case("a nonsensical one", 30, NONE, sensor(65260, 65261.85)),
    ),
    "NodeMemoryErrors": (
        Case("many corrected", 40, WARNING, memory_errors("correctable", 30, 40)),
        Case("a few corrected", 40, NONE, memory_errors("correctable", 30, 2)),
        Case("one that was not corrected", 40, CRITICAL, memory_errors("uncorrectable", 30, 1)),
        Case("long ago", 100, NONE, {**memory_errors("correctable", 30, 40), **memory_errors("uncorrectable", 30, 1)}),
        Case("none", 40, NONE, {**memory_errors("correctable", 30, 0), **memory_errors("uncorrectable", 30, 0)}),
    ),
    "NodeHungTasks": (
        Case("a task hangs", 35, WARNING, {"node_kernel_hung_tasks_total": change(steady(2), 30, steady(3))}),
        Case("long ago", 60, NONE, {"node_kernel_hung_tasks_total": change(steady(2), 30, steady(3))}),
        Case("a reboot", 35, NONE, {"node_kernel_hung_tasks_total": change(steady(2), 30, steady(0))}),
    ),
    "NodeRebooted": (
        Case("rebooted", 35, INFO, {"node_boot_time_seconds": change(steady(1e9), 30, steady(1e9 + 3600))}),
        Case("long ago", 50, NONE, {"node_boot_time_seconds": change(steady(1e9), 30, steady(1e9 + 3600))}),
        Case(
            "the clock was set a little", 35, NONE, {"node_boot_time_seconds": change(steady(1e9), 30, steady(1e9 + 2))}
        ),
        Case("new", 5, NONE, {"node_boot_time_seconds": steady(1e9)}),
    ),
    "NodeRebootRequired": (
        Case("for two days", 2880, INFO, {"node_reboot_required": steady(1)}),
        Case("since yesterday evening", 720, NONE, {"node_reboot_required": steady(1)}),
        Case("not required", 2880, NONE, {"node_reboot_required": steady(0)}),
        Case("rebooted", 2880, NONE, {"node_reboot_required": change(steady(1), 2400, steady(0))}),
    ),
}
