"""The types of conditions that the status of a MonitoringTarget may hold. See docs/design/0003."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


@dataclass(frozen=True)
class ConditionInfo:
    """The attributes of a type of condition."""

    question: str
    """The question that the condition answers."""
    statement: str = ""
    """The answer if the condition is true, as a clause, for `metricat check`. Only the summaries have none."""
    summary: str = ""
    """The summary that is true only if this condition is true: `Ready` or `Monitored`."""
    optional: bool = False
    """Whether the condition exists only for some specs."""
    survives_internal_error: bool = True
    """Whether the condition stays unchanged after an internal error; otherwise it becomes Unknown."""


class ConditionType(StrEnum):
    """A type of condition; the members are in the order of the documentation."""

    about: ConditionInfo

    ACCEPTED = "Accepted", ConditionInfo("Is the spec valid?", "the spec is valid", summary="Ready")
    CLAIMED = (
        "Claimed",
        ConditionInfo("Does exactly one operator manage the target?", "one operator manages the target"),
    )
    APPLIED = (
        "Applied",
        ConditionInfo(
            "Does every object that Metricat manages match the spec?",
            "all managed objects match the spec",
            survives_internal_error=False,
        ),
    )
    NODES_SELECTED = (
        "NodesSelected",
        ConditionInfo("Does the spec select nodes, and so does each of its pools?", "the spec selects nodes"),
    )
    AGENTS_READY = (
        "AgentsReady",
        ConditionInfo(
            "Does every node have a ready agent of the newest version?", "every node has a ready agent", summary="Ready"
        ),
    )
    SELECTED = (
        "Selected",
        ConditionInfo(
            "Does a Prometheus select the ServiceMonitor and the PrometheusRules?",
            "a Prometheus selects the monitor and the rules",
            summary="Monitored",
        ),
    )
    RULES_LOADED = (
        "RulesLoaded",
        ConditionInfo(
            "Has the Prometheus loaded the current version of every rule, and can it evaluate every rule?",
            "Prometheus has loaded the rules",
            summary="Monitored",
        ),
    )
    SCRAPED = (
        "Scraped",
        ConditionInfo(
            "Does Prometheus have samples of every node?", "Prometheus scrapes every node", summary="Monitored"
        ),
    )
    NOTIFICATIONS_CONFIGURED = (
        "NotificationsConfigured",
        ConditionInfo(
            "Does an Alertmanager select `spec.notifications`? (only if it is set)",
            "an Alertmanager selects the notifications",
            optional=True,
        ),
    )
    READY = "Ready", ConditionInfo("Are the agents deployed? Helm, Argo CD and Flux wait for `Ready`.")
    MONITORED = (
        "Monitored",
        ConditionInfo("Does the monitoring work, from agents to alerts?", survives_internal_error=False),
    )

    def __new__(cls, value: str, about: ConditionInfo) -> Self:
        """Create a member with this value and its attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.about = about
        return member

    @property
    def parts(self) -> "tuple[ConditionType, ...]":
        """The conditions that this condition summarizes; empty unless it is a summary."""
        return tuple(one for one in ConditionType if one.about.summary == self)


TYPES = {str(one): one for one in ConditionType}
FORMER_TYPES = {"Discovered": ConditionType.SELECTED, "Notified": ConditionType.NOTIFICATIONS_CONFIGURED}
"""Former names of types, found in a status that an earlier version wrote."""
