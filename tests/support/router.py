"""Routing in memory: settings as YAML, alerts by their labels, and what each step sends."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from metricat_agent.config.yaml_text import read_file
from metricat_hub.dispatch.config_file import parse_plan
from metricat_hub.dispatch.state import Controls, State
from metricat_hub.dispatch.step import adapted, step
from metricat_hub.model.alerts import ActiveAlert, AlertEvent, Notification, fingerprint
from metricat_hub.model.labels import from_mapping

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from metricat_hub.dispatch.plan import Plan
    from metricat_hub.model.labels import Labels

RECEIVERS = ("default", "pager", "chat", "boss")


def plan_of(text: str, receivers: Collection[str] = RECEIVERS) -> Plan:
    """Return the settings of a text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hub.yaml"
        path.write_text(text)
        return parse_plan(read_file(str(path)), "hub.yaml", receivers)


def labels_of(name: str, **labels: str) -> Labels:
    """Return the labels of an alert."""
    return from_mapping({"alertname": name, **labels})


@dataclass
class Sent:
    """A notification, for comparisons."""

    receiver: str
    reason: str
    firing: list[str]
    resolved: list[str] = field(default_factory=list)


@dataclass
class Router:
    """Routing with a clock in seconds."""

    plan: Plan
    controls: Controls = field(default_factory=Controls)
    state: State = field(default_factory=State)
    alerts: dict[Labels, ActiveAlert] = field(default_factory=dict)
    events: list[AlertEvent] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    now: int = 0

    def fire(self, name: str, annotations: Mapping[str, str] | None = None, /, **labels: str) -> str:
        """Let an alert fire from now on; return its fingerprint."""
        key = labels_of(name, **labels)
        self.alerts[key] = ActiveAlert(key, annotations or {}, 1.0, self.now, self.now)
        return fingerprint(key)

    def resolve(self, name: str, **labels: str) -> None:
        """Let an alert resolve now."""
        key = labels_of(name, **labels)
        self.alerts[key] = replace(self.alerts[key], resolved_at=self.now)

    def vanish(self, name: str, **labels: str) -> None:
        """Remove an alert, as a removed rule does."""
        del self.alerts[labels_of(name, **labels)]

    def set(self, **changes: object) -> None:
        """Change what people have set."""
        self.controls = replace(self.controls, **changes)  # type: ignore[arg-type] # names of fields

    def configure(self, plan: Plan) -> None:
        """Change the settings."""
        self.plan = plan
        self.state = adapted(self.state, plan)

    def step(self) -> list[Sent]:
        """Do a step; return what is sent."""
        done = step(self.now, list(self.alerts.values()), self.state, self.plan, self.controls)
        self.state = done.state
        self.events += done.events
        self.notifications += done.notifications
        kept = {key: one for key, one in self.controls.acknowledgements.items() if key not in done.ended}
        self.set(acknowledgements=kept)
        return [_sent(one) for one in done.notifications]

    def until(self, seconds: float, every: float = 1) -> list[tuple[float, Sent]]:
        """Do steps from now until a time; return what is sent, with its time in seconds."""
        found = [(self.now / 1000, one) for one in self.step()]
        while self.now < seconds * 1000:
            self.now += round(every * 1000)
            found += [(self.now / 1000, one) for one in self.step()]
        return found


def _sent(one: Notification) -> Sent:
    names: dict[bool, list[str]] = {True: [], False: []}
    for alert in one.alerts:
        node = dict(alert.labels).get("node", "")
        names[alert.resolved_at is None].append(f"{alert.name}{'/' if node else ''}{node}")
    return Sent(one.receiver, one.reason, names[True], names[False])
