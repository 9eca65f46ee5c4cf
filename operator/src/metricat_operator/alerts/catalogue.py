"""Every alert that Metricat ships: what it watches, its levels and their defaults."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True)
class Level:
    """One severity of an alert: fires when the expression is true for `duration`."""

    severity: Severity
    threshold: float | None
    duration: str


@dataclass(frozen=True)
class Alert:
    """An alert.

    In `expr`, `<threshold>` becomes the level's threshold and `<selector>` the label matchers that keep it to one
    target's series; texts may hold `<threshold>` too. `resource` says what the alert is about on the node: a critical
    silences its own warning on the same node and resource.
    """

    name: str
    meaning: str
    expr: str
    resource: str
    summary: str
    description: str
    levels: tuple[Level, ...]
    unit: str = ""


CATALOGUE: tuple[Alert, ...] = (
    Alert(
        name="NodeCPUUsageHigh",
        meaning="All cores of the node together are busy: neither idle, nor waiting for I/O, nor stolen.",
        expr="metricat:node_cpu_usage:percent{<selector>} >= <threshold>",
        resource="cpu",
        summary="CPU usage on {{ $labels.node }} is high",
        description='CPU usage on {{ $labels.node }} is {{ $value | printf "%.1f" }} % (threshold <threshold> %).',
        unit="%",
        levels=(Level("warning", 80, "5m"), Level("critical", 95, "1m")),
    ),
    Alert(
        name="NodeMemoryUsageHigh",
        meaning="Little memory is available without swapping (MemAvailable), caches counted as available.",
        expr="metricat:node_memory_usage:percent{<selector>} >= <threshold>",
        resource="memory",
        summary="Memory usage on {{ $labels.node }} is high",
        description='Memory usage on {{ $labels.node }} is {{ $value | printf "%.1f" }} % (threshold <threshold> %).',
        unit="%",
        levels=(Level("warning", 85, "5m"), Level("critical", 95, "5m")),
    ),
    Alert(
        name="NodeFilesystemUsageHigh",
        meaning="A writable file system is nearly full, by the space that unprivileged users can still take.",
        expr="metricat:node_filesystem_usage:percent{<selector>} >= <threshold>",
        resource="filesystem",
        summary="File system {{ $labels.mountpoint }} on {{ $labels.node }} is nearly full",
        description="{{ $labels.mountpoint }} ({{ $labels.device }}) on {{ $labels.node }} is "
        '{{ $value | printf "%.1f" }} % full (threshold <threshold> %).',
        unit="%",
        levels=(Level("warning", 80, "30m"), Level("critical", 90, "30m")),
    ),
    Alert(
        name="NodeAgentDown",
        meaning="Prometheus knows the agent of the node, but cannot scrape it.",
        expr="max by (namespace, service, node, pool) (up{<selector>}) == 0",
        resource="agent",
        summary="The agent on {{ $labels.node }} cannot be scraped",
        description="Prometheus gets no metrics from the agent on {{ $labels.node }}.",
        levels=(Level("warning", None, "5m"),),
    ),
    Alert(
        name="MetricatWatchdog",
        meaning="Always fires, so that a receiver can notice when the chain from Prometheus to it is broken.",
        expr="vector(1)",
        resource="chain",
        summary="The alerting chain works",
        description="This alert always fires. Its silence means that Prometheus or Alertmanager does not work.",
        levels=(Level("info", None, "0s"),),
    ),
)
