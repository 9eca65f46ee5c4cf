"""One step of routing: from alerts, and the silences and acknowledgements of users, to notifications and events.

The rules are Alertmanager's. A group is checked `group_wait` after its first alert, and then at each `group_interval`.
A check sends a notification if an alert is new, if one has resolved, or if `repeat_interval` has passed.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

from metricat_hub.dispatch.inhibition import Sources
from metricat_hub.dispatch.matchers import equal
from metricat_hub.dispatch.plan import Target, timing_of
from metricat_hub.dispatch.routes import Timing
from metricat_hub.dispatch.state import Group, Mark, Member, Sent, State, Step
from metricat_hub.model.alerts import AlertEvent, Notification
from metricat_hub.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_hub.dispatch.plan import Facts, Plan
    from metricat_hub.dispatch.silences import MaintenanceWindow, Silence
    from metricat_hub.dispatch.state import Controls
    from metricat_hub.model.alerts import ActiveAlert, EventKind, Reason

STORM_GROUPS = 19
"""The most new groups of a receiver within `STORM_WINDOW`. Alerts of further groups go to one shared group."""
STORM_WINDOW = 300_000
COOLDOWN = "cooldown"
"""The annotation with the least time between two notifications about an alert that resolves and fires again."""
_NOT_SILENCED = Mark()


def step(now: int, alerts: Iterable[ActiveAlert], state: State, plan: Plan, controls: Controls) -> Step:
    """Return the new state, the notifications to send and the events to record.

    `alerts` are those that fire or have resolved recently. An alert in `state` that `alerts` lacks has resolved.
    """
    return _Step(now, alerts, state, plan, controls).result()


def adapted(state: State, plan: Plan) -> State:
    """Adapt the state to changed settings: drop groups that no longer exist, without a notification."""
    return replace(state, groups={key: one for key, one in state.groups.items() if _exists(one, state, plan)})


def _exists(group: Group, state: State, plan: Plan) -> bool:
    if plan.root is None or plan.route(group.route) is None:
        return False
    if group.escalation:
        name, number = group.escalation
        steps = next((one.steps for one in plan.escalations if one.name == name), ())
        return number <= len(steps) and steps[number - 1].receiver == group.receiver
    found = [
        target
        for member in group.members
        if (alert := state.alerts.get(member))
        for target in plan.facts(alert.labels).targets
    ]
    if group.is_storm:
        return any(target.receiver == group.receiver for target in found)
    return any(target.identity == group.identity for target in found)


class Silencer:
    """The silences and maintenance windows that are active at one time."""

    def __init__(self, controls: Controls, now: int) -> None:
        self._active: list[Silence | MaintenanceWindow] = [
            *(one for one in controls.silences if one.state(now) == "active"),
            *(one for one in controls.windows if one.is_open(now)),
        ]

    def silencing(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Return the IDs of the active silences and maintenance windows that match an alert."""
        return tuple(one.id for one in self._active if one.matchers.match(labels))


class _Step:
    """The work of a step."""

    def __init__(self, now: int, alerts: Iterable[ActiveAlert], state: State, plan: Plan, controls: Controls) -> None:
        self._now = now
        self._plan = plan
        self._before = state
        self._controls = controls
        self._facts: dict[str, Facts] = {}
        self._alerts: dict[str, ActiveAlert] = {}
        self._groups = dict(state.groups)
        self._cooldowns = {key: until for key, until in state.cooldowns.items() if until > now}
        self._created = {
            receiver: recent
            for receiver, times in state.created.items()
            if (recent := tuple(at for at in times if now - STORM_WINDOW < at <= now))
        }
        self._events: list[AlertEvent] = []
        self._notifications: list[Notification] = []
        for alert in alerts:
            if alert.fired_at is not None:
                facts = plan.facts(alert.labels)
                self._facts[facts.fingerprint] = facts
                self._alerts[facts.fingerprint] = alert
        self._add_vanished()
        self._silencer = Silencer(controls, now)
        self._sources = Sources()
        self._add_sources()
        self._marks: dict[str, Mark] = {}

    def result(self) -> Step:
        """Compute the step."""
        self._set_marks()
        acknowledged, ended = self._acknowledgements()
        self._restart_escalations(self._before.acknowledged - acknowledged)
        self._join()
        self._escalate(acknowledged)
        for group in list(self._groups.values()):
            self._check(group, acknowledged)
        self._plan.forget(alert.labels for alert in self._alerts.values())
        return Step(
            State(self._groups, self._alerts, self._marks, acknowledged, self._created, self._cooldowns),
            self._notifications,
            self._events,
            ended,
        )

    def _add_vanished(self) -> None:
        """Keep the alerts that no rule has any longer while a group has them; they have resolved."""
        vanished = self._before.alerts.keys() - self._alerts.keys()
        if not vanished:
            return
        members = {fingerprint for group in self._groups.values() for fingerprint in group.members}
        for fingerprint in vanished & members:
            alert = self._before.alerts[fingerprint]
            self._facts[fingerprint] = self._plan.facts(alert.labels)
            self._alerts[fingerprint] = alert if alert.resolved_at else replace(alert, resolved_at=self._now)

    def _add_sources(self) -> None:
        for fingerprint, alert in self._alerts.items():
            if alert.resolved_at is None:
                self._sources.add(fingerprint, self._facts[fingerprint].roles)

    def _mark(self, facts: Facts) -> Mark:
        return Mark(self._silencer.silencing(facts.labels), self._sources.inhibiting(facts.roles))

    def _set_marks(self) -> None:
        """Set the marks of firing alerts, and record the changes."""
        for fingerprint, alert in self._alerts.items():
            if alert.resolved_at is not None:
                continue
            before = self._before.marks.get(fingerprint, _NOT_SILENCED)
            after = self._mark(self._facts[fingerprint])
            if after != _NOT_SILENCED:
                self._marks[fingerprint] = after
            if after != before:
                self._record_mark(alert, before, after)

    def _record_mark(self, alert: ActiveAlert, before: Mark, after: Mark) -> None:
        if after.silences and not before.silences:
            self._record("silenced", alert, {"silence": ",".join(after.silences)})
        if before.silences and not after.silences:
            self._record("unsilenced", alert, {"silence": ",".join(before.silences)})
        if after.inhibited_by and not before.inhibited_by:
            source = self._alerts[after.inhibited_by]
            self._record("inhibited", alert, {"by": after.inhibited_by, "alertname": source.name})

    def _record(self, kind: EventKind, alert: ActiveAlert, details: Mapping[str, str]) -> None:
        identity = self._plan.facts(alert.labels).fingerprint
        self._events.append(
            AlertEvent(
                self._now,
                kind,
                identity,
                alert.labels,
                alert.annotations,
                alert.value,
                alert.active_at,
                details=details,
            )
        )

    def _acknowledgements(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the fingerprints of acknowledged alerts, and of acknowledgements that have ended."""
        valid, ended = set(), set()
        for fingerprint, one in self._controls.acknowledgements.items():
            alert = self._alerts.get(fingerprint)
            if alert is None or alert.resolved_at is not None or alert.active_at != one.active_at:
                ended.add(fingerprint)
            elif one.expires is not None and one.expires <= self._now:
                ended.add(fingerprint)
                self._record("unacknowledged", alert, {"reason": "expired"})
            else:
                valid.add(fingerprint)
        return frozenset(valid), frozenset(ended)

    def _restart_escalations(self, fingerprints: frozenset[str]) -> None:
        """Let the time until the next escalation begin now: an acknowledgement of these alerts has ended."""
        if not fingerprints:
            return
        for key, group in self._groups.items():
            found = {
                one: replace(member, notified_at=self._now)
                for one, member in group.members.items()
                if one in fingerprints and member.notified_at is not None
            }
            if found:
                self._groups[key] = replace(group, members={**group.members, **found})

    def _join(self) -> None:
        """Add firing alerts to their groups. An alert stays in its group until it has resolved."""
        added: dict[tuple[str, str], tuple[Target, list[str]]] = {}
        for fingerprint, alert in self._alerts.items():
            if alert.resolved_at is not None or fingerprint in self._marks:
                continue
            for target in self._facts[fingerprint].targets:
                if not self._is_member(target, fingerprint) and (*target.identity, fingerprint) not in self._cooldowns:
                    goal = self._goal(target, is_new=target.identity not in added)
                    added.setdefault(goal.identity, (goal, []))[1].append(fingerprint)
        for target, fingerprints in added.values():
            self._add(target, fingerprints, self._due(target.route.timing.group_wait, fingerprints))

    def _is_member(self, target: Target, fingerprint: str) -> bool:
        for key in (target.identity, _storm(target).identity):
            group = self._groups.get(key)
            if group is not None and fingerprint in group.members:
                return True
        return False

    def _goal(self, target: Target, *, is_new: bool) -> Target:
        """Return the group for a new alert: its own, or the common one if too many groups are new."""
        if target.identity in self._groups or not is_new:
            return target
        recent = self._created.get(target.receiver, ())
        if len(recent) >= STORM_GROUPS:
            return _storm(target)
        self._created[target.receiver] = (*recent, self._now)
        return target

    def _due(self, wait: int, fingerprints: Iterable[str]) -> int:
        """Return when a new group is checked: at once if an alert of it fires for longer than the wait."""
        oldest = min(self._alerts[one].fired_at or self._now for one in fingerprints)
        return self._now if oldest + wait < self._now else self._now + wait

    def _add(
        self, target: Target, fingerprints: Iterable[str], flush_at: int, escalation: tuple[str, int] | None = None
    ) -> None:
        group = self._groups.get(target.identity)
        if group is None:
            is_storm = target.key == _storm(target).key
            group = Group(
                *(target.key, target.receiver, target.route.key, target.labels, {}, flush_at),
                escalation=escalation,
                is_storm=is_storm,
            )
        added = {one: Member() for one in fingerprints if one not in group.members}
        self._groups[target.identity] = replace(group, members={**group.members, **added})

    def _escalate(self, acknowledged: frozenset[str]) -> None:
        """Add alerts without an acknowledgement to the groups of further receivers."""
        if not self._plan.escalations:
            return
        for key, group in list(self._groups.items()):
            route = self._plan.route(group.route)
            if group.escalation or route is None or self._plan.is_muted(route, self._now):
                continue
            changed: dict[str, Member] = {}
            added: dict[tuple[str, int], tuple[Target, list[str]]] = {}
            for fingerprint, member in group.members.items():
                alert, escalation = self._alerts.get(fingerprint), self._facts[fingerprint].escalation
                if (
                    alert is None
                    or escalation is None
                    or alert.resolved_at is not None
                    or fingerprint in self._marks
                    or fingerprint in acknowledged
                    or member.notified_at is None
                ):
                    continue
                for number, one in enumerate(escalation.steps[member.steps :], member.steps + 1):
                    if member.notified_at + one.after > self._now:
                        break
                    name = f"escalation/{escalation.name}/{number}:{equal(group.labels)}"
                    target = Target(name, one.receiver, route, group.labels)
                    added.setdefault((escalation.name, number), (target, []))[1].append(fingerprint)
                    changed[fingerprint] = replace(member, steps=number)
            if changed:
                self._groups[key] = replace(group, members={**group.members, **changed})
            for step_of, (target, fingerprints) in added.items():
                self._add(target, fingerprints, self._now, step_of)

    def _check(self, group: Group, acknowledged: frozenset[str]) -> None:
        """Send a notification about a group if it is due, and remove the alerts that have resolved."""
        timing = timing_of(self._plan.route(group.route), Timing())
        if group.flush_at > self._now + max(timing.group_wait, timing.group_interval):  # the clock was set back
            group = self._groups[group.identity] = replace(group, flush_at=self._now + timing.group_interval)
        if group.flush_at > self._now:
            return
        firing, resolved = self._unmuted(group)
        reason = self._reason(group, firing, resolved, acknowledged, timing)
        members = {
            one: member
            for one, member in group.members.items()
            if (alert := self._alerts.get(one)) and alert.resolved_at is None
        }
        sent = group.sent
        if reason is not None:
            self._notify(group, reason, firing, resolved)
            sent = Sent(self._now, frozenset(firing), frozenset(resolved))
            for one in firing:
                if one in members and members[one].notified_at is None:
                    members[one] = replace(members[one], notified_at=self._now)
        if members:
            self._groups[group.identity] = replace(
                group, members=members, sent=sent, flush_at=self._now + timing.group_interval
            )
        else:
            del self._groups[group.identity]

    def _unmuted(self, group: Group) -> tuple[list[str], list[str]]:
        """Return the firing and the resolved alerts of a group about which a notification may be sent."""
        firing: list[str] = []
        resolved: list[str] = []
        for fingerprint in group.members:
            alert = self._alerts.get(fingerprint)
            if alert is None or self._is_muted(group, fingerprint):
                continue
            (firing if alert.resolved_at is None else resolved).append(fingerprint)
        return firing, resolved

    def _is_muted(self, group: Group, fingerprint: str) -> bool:
        facts = self._facts[fingerprint]
        routes = (
            [target.route for target in facts.targets if target.receiver == group.receiver]
            if group.is_storm
            else [route for route in (self._plan.route(group.route),) if route]
        )
        if routes and all(self._plan.is_muted(route, self._now) for route in routes):
            return True
        if self._alerts[fingerprint].resolved_at is None:
            return fingerprint in self._marks
        return self._mark(facts) != _NOT_SILENCED

    def _reason(
        self, group: Group, firing: list[str], resolved: list[str], acknowledged: frozenset[str], timing: Timing
    ) -> Reason | None:
        """Return why a notification is sent; None: none is."""
        sent = group.sent
        if sent is None or not sent.firing.issuperset(firing):
            if not firing:
                return None
            if group.escalation:
                return "escalated"
            return "changed" if sent and sent.firing else "new"
        if not firing:
            return "resolved" if sent.firing and resolved else None
        if not sent.resolved.issuperset(resolved):
            return "changed"
        is_due = sent.at + timing.repeat_interval <= self._now
        return "repeated" if is_due and not acknowledged.issuperset(firing) else None

    def _notify(self, group: Group, reason: Reason, firing: list[str], resolved: list[str]) -> None:
        ordered = sorted((self._alerts[one] for one in (*firing, *resolved)), key=_order)
        self._notifications.append(
            Notification(
                _identity(group, firing, resolved),
                group.receiver,
                group.key,
                group.labels,
                tuple(ordered),
                reason,
                self._now,
                self._plan.url,
            )
        )
        for one in firing:
            if cooldown := _cooldown(self._alerts[one]):
                self._cooldowns[*group.identity, one] = self._now + cooldown


def _storm(target: Target) -> Target:
    """Return the common group of a receiver, for alerts of too many groups."""
    return Target(f"storm:{target.receiver}", target.receiver, target.route, {})


def _order(alert: ActiveAlert) -> tuple[bool, object]:
    return alert.resolved_at is not None, alert.labels


def _identity(group: Group, firing: Iterable[str], resolved: Iterable[str]) -> str:
    """Return the identity of a notification: the same if a crash repeats the step that makes it."""
    parts = (group.receiver, group.key, str(group.sent.at if group.sent else 0), *sorted(firing), "", *sorted(resolved))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _cooldown(alert: ActiveAlert) -> int:
    try:
        return parse_duration(alert.annotations.get(COOLDOWN, "0"))
    except ValueError:
        return 0
