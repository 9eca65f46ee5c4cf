"""The types of conditions that the status of a MonitoringTarget may hold."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


@dataclass(frozen=True)
class About:
    """The attributes of a type of condition."""

    question: str
    """The question that the condition answers."""
    summary: str = ""
    """The condition that is true only if this one is: `Ready` or `Monitored`."""
    optional: bool = False
    """Whether the condition exists only for some specs."""
    survives_internal_error: bool = True
    """Whether the condition stays as it was after an internal error; otherwise it becomes Unknown."""


class ConditionType(StrEnum):
    """A type of condition; the members are in the order of the documentation."""

    about: About

    ACCEPTED = "Accepted", About("Is the spec valid?", summary="Ready")
    APPLIED = (
        "Applied",
        About("Does every object that Metricat manages match the spec?", survives_internal_error=False),
    )
    AGENTS_READY = "AgentsReady", About("Does every node have a ready agent of the newest version?", summary="Ready")
    SELECTED = (
        "Selected",
        About("Does a Prometheus select the ServiceMonitor, and one the PrometheusRules?", summary="Monitored"),
    )
    RULES_LOADED = (
        "RulesLoaded",
        About("Has that Prometheus loaded the current version of every rule, without a failure?", summary="Monitored"),
    )
    SCRAPED = "Scraped", About("Does Prometheus have samples of every node?", summary="Monitored")
    NOTIFICATIONS_CONFIGURED = (
        "NotificationsConfigured",
        About("Does an Alertmanager select `spec.notifications`? (only if it is set)", optional=True),
    )
    READY = "Ready", About("Are the agents deployed? Helm, Argo CD and Flux wait for it.")
    MONITORED = "Monitored", About("Does the monitoring work, from agents to alerts?", survives_internal_error=False)

    def __new__(cls, value: str, about: About) -> Self:
        """Create a member that is its value and holds its attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.about = about
        return member

    @property
    def parts(self) -> "tuple[ConditionType, ...]":
        """The conditions that this one summarizes; empty unless it is a summary."""
        return tuple(one for one in ConditionType if one.about.summary == self)


TYPES = {str(one): one for one in ConditionType}
FORMER_TYPES = {"Discovered": ConditionType.SELECTED, "Notified": ConditionType.NOTIFICATIONS_CONFIGURED}
"""Former names of types, as a status that an earlier version wrote holds them."""
