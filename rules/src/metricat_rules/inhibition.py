"""Inhibition rules, written to the AlertmanagerConfig and to docs/alertmanager.md.

An alert does not inhibit alerts of a higher severity or of another node. NodeCordoned and NodeNew are the exception:
they inhibit all other alerts about their node. Alertmanager treats two absent labels as equal, so the matchers require
the compared labels on both sides.
"""

from dataclasses import dataclass
from typing import Literal

from metricat_rules.node_lifecycle import INHIBITED_BY


@dataclass(frozen=True)
class Matcher:
    """A requirement on one label of an alert."""

    name: str
    match: Literal["=", "!=", "=~", "!~"]
    value: str

    def __str__(self) -> str:
        """Return the matcher in the syntax of Alertmanager's configuration."""
        return f'{self.name}{self.match}"{self.value}"'


@dataclass(frozen=True)
class Inhibition:
    """A rule: while a source alert fires, no messages are sent for target alerts with the same values of `equal`."""

    why: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


_LOWER_SEVERITIES = Matcher("severity", "=~", "warning|info")
_NODE = ("cluster", "namespace", "service", "node")
"""`cluster` is the usual external label that distinguishes Prometheus servers. Without it, nothing changes."""

INHIBITIONS: tuple[Inhibition, ...] = (
    Inhibition(
        why="A critical alert inhibits warnings and infos about the same resource of the same node.",
        source=(Matcher("severity", "=", "critical"), Matcher("resource", "!=", "")),
        target=(_LOWER_SEVERITIES, Matcher("resource", "!=", "")),
        equal=(*_NODE, "resource"),
    ),
    Inhibition(
        why="Tasks that wait for a CPU make the CPUs busy. The warning about them is enough.",
        source=(Matcher("alertname", "=", "NodePressureCPU"), Matcher("node", "!=", "")),
        target=(
            Matcher("alertname", "=", "NodeCPUUsageHigh"),
            Matcher("severity", "=", "warning"),
            Matcher("node", "!=", ""),
        ),
        equal=_NODE,
    ),
    Inhibition(
        why="Busy CPUs raise the load.",
        source=(Matcher("alertname", "=", "NodeCPUUsageHigh"), Matcher("node", "!=", "")),
        target=(Matcher("alertname", "=", "NodeLoadHigh"), Matcher("node", "!=", "")),
        equal=_NODE,
    ),
    Inhibition(
        why="Tasks that wait for disks raise the time that CPUs wait for disks.",
        source=(Matcher("alertname", "=", "NodePressureIO"), Matcher("node", "!=", "")),
        target=(Matcher("alertname", "=", "NodeIOWait"), Matcher("node", "!=", "")),
        equal=_NODE,
    ),
    Inhibition(
        why="Without an agent, a node has no new samples. Its other warnings and infos report old values.",
        source=(Matcher("alertname", "=", "NodeAgentDown"), Matcher("node", "!=", "")),
        target=(_LOWER_SEVERITIES, Matcher("alertname", "!=", "NodeAgentDown"), Matcher("node", "!=", "")),
        equal=_NODE,
    ),
    Inhibition(
        why="For a node that is cordoned, about to be deleted or new, no other alert is sent.",
        source=(Matcher("alertname", "=~", INHIBITED_BY), Matcher("node", "!=", "")),
        target=(Matcher("alertname", "!~", INHIBITED_BY), Matcher("node", "!=", "")),
        equal=_NODE,
    ),
)
