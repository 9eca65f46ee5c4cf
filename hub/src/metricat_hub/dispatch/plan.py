"""The routing settings, and what they mean for one alert: its receivers, groups and inhibition roles."""

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
    """A step of an escalation: a further receiver for alerts that are not acknowledged."""

    after: int
    """Milliseconds since the first notification about the alert."""
    receiver: str


@dataclass(frozen=True, slots=True)
class Escalation:
    """An escalation: its steps, the earliest first, for alerts that match."""

    name: str
    steps: tuple[EscalationStep, ...]
    matchers: AlertMatchers = field(default_factory=lambda: AlertMatchers(()))


@dataclass(frozen=True, slots=True)
class Target:
    """A notification group: the alerts that go to one receiver together."""

    key: str
    """The key of the group, unique for its receiver."""
    receiver: str
    route: Route
    labels: Mapping[str, str]

    @property
    def identity(self) -> tuple[str, str]:
        """The unique identifier of the group: receiver and key."""
        return self.receiver, self.key


@dataclass(frozen=True, slots=True)
class Facts:
    """What the routing settings mean for one alert: its groups, inhibition roles and escalation."""

    fingerprint: str
    labels: Mapping[str, str]
    targets: tuple[Target, ...]
    roles: tuple[Role, ...]
    escalation: Escalation | None


class Plan:
    """The routing settings. It caches the facts of current alerts. Not thread-safe."""

    def __init__(
        self,
        root: Route | None = None,
        inhibit_rules: Iterable[InhibitRule] = (),
        intervals: Mapping[str, tuple[TimeInterval, ...]] | None = None,
        escalations: Iterable[Escalation] = (),
        url: str = "",
    ) -> None:
        self.root = root
        """The first route; None: the hub sends no notifications."""
        self.inhibit_rules = (*SHIPPED, *inhibit_rules)
        self.intervals = intervals or {}
        self.escalations = tuple(escalations)
        self.url = url
        self._routes = {route.key: route for route in root.walk()} if root else {}
        self._facts: dict[Labels, Facts] = {}
        self._targets: dict[tuple[str, str], Target] = {}

    def route(self, key: str) -> Route | None:
        """Return the route with a key; None if it does not exist."""
        return self._routes.get(key)

    def facts(self, labels: Labels) -> Facts:
        """Return what the settings mean for an alert."""
        found = self._facts.get(labels)
        if found is None:
            found = self._facts[labels] = self._computed(labels)
        return found

    def forget(self, present: Iterable[Labels]) -> None:
        """If the cache has become large, remove the facts of all alerts that are not in `present`."""
        present = set(present)
        if len(self._facts) > 2 * len(present) + 1000:
            self._facts = {labels: facts for labels, facts in self._facts.items() if labels in present}
            used = {target.identity: target for facts in self._facts.values() for target in facts.targets}
            self._targets = used

    def is_muted(self, route: Route, now: int) -> bool:
        """Return whether the time intervals of a route forbid notifications at `now`."""
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
    """Return the timing of a route; `default` for None, a route that no longer exists."""
    return route.timing if route else default
