"""Cases of every alert: series, and the severities that fire. One module for each module of the catalogue."""

from rules.cases import (
    agents,
    anomaly,
    cpu_memory,
    endpoints,
    hardware,
    hub,
    network,
    node_lifecycle,
    operator,
    storage,
)
from support.promtool import Case

CASES: dict[str, tuple[Case, ...]] = {
    **cpu_memory.CASES,
    **storage.CASES,
    **network.CASES,
    **hardware.CASES,
    **endpoints.CASES,
    **anomaly.CASES,
    **node_lifecycle.CASES,
    **agents.CASES,
}
OPERATOR_CASES: dict[str, tuple[Case, ...]] = operator.CASES
HUB_CASES: dict[str, tuple[Case, ...]] = hub.CASES

SLOW = {
    "NodeEvictionNear": (60, "1m", 240),
    "NodeFilesystemFillsUp": (120, "4m", 480),
    "NodeInodesFillUp": (120, "4m", 480),
    "NodeRebootRequired": (120, "4m", 480),
    "NodeUnusual": (900, "15m", 3600),
}
"""Alerts with cases of hours or days: seconds between samples, evaluation interval, rate window in seconds."""
