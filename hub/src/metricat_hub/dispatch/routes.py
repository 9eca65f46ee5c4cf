"""The tree of routes, as Alertmanager defines it. Durations are in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_hub.dispatch.matchers import AlertMatchers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ALL_LABELS = "..."
"""The value of `group_by` that makes each combination of labels a separate group."""


@dataclass(frozen=True, slots=True)
class Timing:
    """When the hub sends the notifications of a group. The defaults are Alertmanager's."""

    group_wait: int = 30_000
    group_interval: int = 300_000
    repeat_interval: int = 14_400_000


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A route: a node of the tree, including the settings that it inherits."""

    key: str
    """The unique key, built from the matchers of the route and its parents, and a number for equal siblings."""
    receiver: str
    group_by: tuple[str, ...] = ()
    timing: Timing = field(default_factory=Timing)
    matchers: AlertMatchers = field(default_factory=lambda: AlertMatchers(()))
    continues: bool = False
    """Whether an alert that matches also goes to the siblings after this route."""
    mute: tuple[str, ...] = ()
    """Names of time intervals in which the hub sends no notifications."""
    active: tuple[str, ...] = ()
    """Names of time intervals outside of which the hub sends no notifications; empty: no limit."""
    routes: tuple[Route, ...] = ()

    def match(self, labels: Mapping[str, str]) -> list[Route]:
        """Return the routes for an alert: the deepest ones that match, in the order of the file."""
        if not self.matchers.match(labels):
            return []
        found: list[Route] = []
        for route in self.routes:
            matched = route.match(labels)
            found += matched
            if matched and not route.continues:
                break
        return found or [self]

    def walk(self) -> Iterator[Route]:
        """Yield this route and all routes below it."""
        yield self
        for route in self.routes:
            yield from route.walk()

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels of an alert that identify its group (`group_by`)."""
        if ALL_LABELS in self.group_by:
            return dict(labels)
        return {name: labels[name] for name in sorted(self.group_by) if name in labels}
