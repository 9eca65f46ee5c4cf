"""The routing settings, and the receivers, groups and inhibition that they give an alert."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_hub.dispatch.inhibition import SHIPPED, InhibitRule, Role, roles
from metricat_hub.dispatch.matchers import AlertMatchers, equal
from metricat_hub.model.alerts import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_hub.dispatch.routes import Route, Timing
    from metricat_hub.dispatch.time_intervals import TimeInterval
    from metricat_hub.model.labels import Labels


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """A further receiver, for alerts without an acknowledgement."""

    after: int
    """Milliseconds since the first notification about the alert."""
    receiver: str


@dataclass(frozen=True, slots=True)
class Escalation:
    """The steps for matching alerts, the earliest first."""

    name: str
    steps: tuple[EscalationStep, ...]
    matchers: AlertMatchers = field(default_factory=lambda: AlertMatchers(()))


@dataclass(frozen=True, slots=True)
class Target:
    """A group of alerts that go to one receiver."""

    key: str
    """Identifies the group for its receiver."""
    receiver: str
    route: Route
    labels: Mapping[str, str]

    @property
    def identity(self) -> tuple[str, str]:
        """Identifies the group."""
        return self.receiver, self.key


@dataclass(frozen=True, slots=True)
class Facts:
    """The receivers, groups and inhibition of an alert, by the settings."""

    fingerprint: str
    labels: Mapping[str, str]
    targets: tuple[Target, ...]
    roles: tuple[Role, ...]
    escalation: Escalation | None


class Plan:
    """The settings. It caches the facts of present alerts; one thread at a time may use it."""

    def __init__(
        self,
        root: Route | None = None,
        inhibit_rules: Iterable[InhibitRule] = (),
        intervals: Mapping[str, tuple[TimeInterval, ...]] | None = None,
        escalations: Iterable[Escalation] = (),
        url: str = "",
    ) -> None:
        self.root = root
        """None: no notification is sent."""
        self.inhibit_rules = (*SHIPPED, *inhibit_rules)
        self.intervals = intervals or {}
        self.escalations = tuple(escalations)
        self.url = url
        self._routes = {route.key: route for route in root.walk()} if root else {}
        self._facts: dict[Labels, Facts] = {}
        self._targets: dict[tuple[str, str], Target] = {}

    def route(self, key: str) -> Route | None:
        """Return a route; None if it does not exist."""
        return self._routes.get(key)

    def facts(self, labels: Labels) -> Facts:
        """Return the facts of an alert."""
        found = self._facts.get(labels)
        if found is None:
            found = self._facts[labels] = self._computed(labels)
        return found

    def forget(self, present: Iterable[Labels]) -> None:
        """Drop the facts of all other alerts."""
        present = set(present)
        if len(self._facts) > 2 * len(present) + 1000:
            self._facts = {labels: facts for labels, facts in self._facts.items() if labels in present}
            used = {target.identity: target for facts in self._facts.values() for target in facts.targets}
            self._targets = used

    def is_muted(self, route: Route, now: int) -> bool:
        """Return whether the time intervals of a route forbid notifications."""
        if any(self._contains(name, now) for name in route.mute):
            return True
        return bool(route.active) and not any(self._contains(name, now) for name in route.active)

    def _contains(self, name: str, now: int) -> bool:
        return any(interval.contains(now) for interval in self.intervals.get(name, ()))

    def _computed(self, labels: Labels) -> Facts:
        pairs = dict(labels)
        matched = self.root.match(pairs) if self.root else []
        targets = {target.identity: target for target in (self._target(route, pairs) for route in matched)}
        escalation = next((one for one in self.escalations if one.matchers.match(pairs)), None)
        return Facts(fingerprint(labels), pairs, tuple(targets.values()), roles(self.inhibit_rules, pairs), escalation)

    def _target(self, route: Route, labels: Mapping[str, str]) -> Target:
        group = route.group_labels(labels)
        target = Target(f"{route.key}:{equal(group)}", route.receiver, route, group)
        return self._targets.setdefault(target.identity, target)


def timing_of(route: Route | None, default: Timing) -> Timing:
    """Return the timing of a route; the default for a route that no longer exists."""
    return route.timing if route else default
