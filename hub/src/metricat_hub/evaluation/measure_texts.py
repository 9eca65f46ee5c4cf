"""Processes and first step in the texts of a measure's rule, as in the shipped alert about the same resource."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from metricat_hub.evaluation.machine_actions import ACTIONS
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.cpu_memory import TOP_CPU, TOP_MEMORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.model.measures import Category, Measure

_PROCESSES: Final[Mapping[Category, str]] = {
    "cpu": TOP_CPU.replace("<selector>,", ""),
    "memory": TOP_MEMORY.replace("<selector>,", ""),
}
_ALERTS: Final = (
    ("cpu_iowait", "NodeDiskIOUtilHigh"),
    ("cpu_", "NodeCPUUsageHigh"),
    ("load_", "NodeLoadHigh"),
    ("swap_", "NodeSwapUsageHigh"),
    ("memory_", "NodeMemoryUsageHigh"),
    ("disk_await", "NodeDiskAwaitHigh"),
    ("disk_", "NodeDiskIOUtilHigh"),
    ("network_connections", "NodeConntrackHigh"),
    ("network_receive_errors", "NodeNetworkErrorsHigh"),
    ("network_transmit_errors", "NodeNetworkErrorsHigh"),
    ("network_receive_drops", "NodeNetworkDropsHigh"),
    ("network_transmit_drops", "NodeNetworkDropsHigh"),
    ("network_", "NodeNetworkBandwidthHigh"),
    ("filesystem_inodes", "NodeInodeUsageHigh"),
    ("filesystem_", "NodeFilesystemUsageHigh"),
)
"""The shipped alert by the start of the measure's name. The first start that matches counts."""
_SCARCE: Final = ("_free", "_available", "_idle")
"""Parts of the names of measures whose low values mean a shortage."""
_FIXED: Final = ("_total",)


def processes(measure: Measure) -> str:
    """Return the template of the processes that use the most of the measured resource; empty if agents report none."""
    return _PROCESSES.get(measure.category, "")


def first_step(measure: Measure, operator: str) -> str:
    """Return the first step of a shortage; empty if the comparison does not find a shortage."""
    if any(part in measure.name for part in _FIXED):
        return ""
    is_scarce = any(part in measure.name for part in _SCARCE)
    if operator not in (("<", "<=") if is_scarce else (">", ">=")):
        return ""
    alert = next(alert for start, alert in _ALERTS if measure.name.startswith(start))
    return ACTIONS.get(alert) or next(one.action for one in CATALOGUE if one.name == alert)
