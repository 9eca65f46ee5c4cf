"""Evaluates groups of rules: stores their samples and states, and keeps the status of each evaluation."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from metricat_hub.evaluation.evaluate import Evaluation, Evaluator, RuleState, Surroundings
from metricat_hub.evaluation.samples import NO_SAMPLES
from metricat_hub.evaluation.transitions import events
from metricat_hub.model.errors import HubError
from metricat_hub.use_cases.rule_queries import RoundQueries
from metricat_hub.use_cases.rule_recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.evaluation.evaluate import Alert
    from metricat_hub.evaluation.rules import Group, Rule
    from metricat_hub.evaluation.samples import Samples
    from metricat_hub.model.alerts import AlertLog
    from metricat_hub.model.ports import Writer
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.store.alert_states import AlertStates

_LOG = logging.getLogger(__name__)
_INTERNAL = "internal error of the hub; see its log for the details, and report the error"
_OUTAGE_INTERVALS = 2
"""A longer period without an evaluation, in milliseconds, counts as an outage."""


@dataclass(slots=True)  # not frozen: a frozen object takes three times as long to create
class RuleStatus:
    """A rule with its state and its last evaluation. Do not change an object, because other threads read it."""

    rule: Rule
    identity: str
    """Identifies the rule across restarts: group, name, and index among rules with equal names."""
    state: RuleState = field(default_factory=RuleState)
    evaluated: int = 0
    """Milliseconds since 1970-01-01 UTC; 0: never."""
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """A group with the status of its rules and its last evaluation."""

    group: Group
    rules: Sequence[RuleStatus]
    evaluated: int = 0
    """Milliseconds since 1970-01-01 UTC; 0: never."""
    seconds: float = 0.0


@dataclass(slots=True)
class GroupCounts:
    """Counters of one group since the start of the hub."""

    failures: int = 0
    """Failed evaluations of the group's rules."""
    missed: int = 0
    """Evaluations of the group that were skipped."""


@dataclass(slots=True)
class Counts:
    """Counters since the start of the hub."""

    evaluations: int = 0
    """Evaluations of rules."""
    failures: int = 0
    """Failed evaluations of rules."""
    missed: int = 0
    """Evaluations of groups that were skipped."""
    rejected_samples: int = 0
    groups: dict[tuple[str, str], GroupCounts] = field(default_factory=dict)
    """By file and name of the group."""

    def of(self, group: Group) -> GroupCounts:
        """Return the counters of a group."""
        return self.groups.setdefault((group.file, group.name), GroupCounts())

    def miss(self, group: Group, evaluations: int) -> None:
        """Count evaluations of a group that were skipped."""
        self.missed += evaluations
        self.of(group).missed += evaluations


class Rules:
    """The groups of rules. One thread evaluates them; any thread may read their status."""

    def __init__(
        self,
        queries: QueryEngine,
        writer: Writer,
        states: AlertStates,
        surroundings: Surroundings | None = None,
        query_seconds: float = 30.0,
    ) -> None:
        self.log: AlertLog | None = None
        """Receives the events of alerts; None: events are not recorded."""
        self._queries = queries
        self._writer = writer
        self._saved = states
        self._surroundings = surroundings or Surroundings()
        self._query_seconds = query_seconds
        self._lock = threading.Lock()
        self._groups: dict[tuple[str, str], GroupStatus] = {}
        self._rounds: dict[tuple[str, str], RoundQueries] = {}
        self._recorders: dict[tuple[str, str], Recorder] = {}
        self.counts = Counts()
        self.evaluated: Callable[[], None] = lambda: None
        """Called after each evaluation of a group, in its thread."""

    def load(self, groups: Sequence[Group], now: int) -> None:
        """Replace all groups. Existing rules keep their states, including stored states of an earlier run."""
        saved = self._saved.load()
        loaded, rounds, recorders = {}, {}, {}
        identities: set[str] = set()
        for group in groups:
            named = _identities(group)
            identities.update(key for _, key in named)
            key = group.file, group.name
            rules = [_resumed(rule, identity, saved.get(identity), group, now) for rule, identity in named]
            loaded[key] = GroupStatus(group, rules)
            rounds[key] = RoundQueries(self._queries, group.rules, self._query_seconds)
            recorders[key] = Recorder(self._writer)
        self._rounds, self._recorders = rounds, recorders
        with self._lock:
            self._groups = loaded
        if self.log:
            # A crash may have lost events, and alerts of removed rules end. The history ignores events that it has.
            self.log.record([one for _, state in saved.values() for one in events({}, state.alerts, now)])
            removed = [state for key, (_, state) in saved.items() if key not in identities]
            self.log.record([one for state in removed for one in events(state.alerts, {}, now)])
        self._saved.keep(identities, {_group_key(group) for group in groups})

    def groups(self) -> list[GroupStatus]:
        """Return the status of all groups."""
        with self._lock:
            return list(self._groups.values())

    def alerts(self) -> list[Alert]:
        """Return the alerts that are pending or firing, and those that have resolved recently."""
        return [one for status in self.groups() for rule in status.rules for one in rule.state.alerts.values()]

    def evaluate(self, group: Group, now: int) -> None:
        """Evaluate the rules of a group at a time, in order; store their samples and their states.

        A rule that fails does not prevent the evaluation of the others.
        """
        status = self._groups.get((group.file, group.name))
        if status is None or status.group is not group:
            return  # the configuration has changed
        began = time.monotonic()
        at = now - group.query_offset
        queries, recorder = self._rounds[group.file, group.name], self._recorders[group.file, group.name]
        evaluator = Evaluator(group, now, queries.query, self._surroundings)
        with queries.begin(at):
            found = [self._rule(evaluator, one, group, now, queries) for one in status.rules]
        errors = recorder.store([samples for _, samples in found], at)
        self.counts.rejected_samples += recorder.rejected
        rules = [rule for rule, _ in found]
        for at_rule, error in errors.items():
            if not rules[at_rule].error:
                rules[at_rule] = replace(rules[at_rule], error=error)
        self._count(status.rules, rules, group)
        changed = [pair for pair in zip(status.rules, rules, strict=True) if pair[0].state is not pair[1].state]
        if self.log:
            self.log.record(
                [one for before, after in changed for one in events(before.state.alerts, after.state.alerts, now)]
            )
        is_waiting = any(one.state.phase == "pending" for rule in rules for one in rule.state.alerts.values())
        self._save(group, changed, now, is_waiting=is_waiting)
        with self._lock:
            if self._groups.get((group.file, group.name)) is status:
                done = replace(status, rules=rules, evaluated=now, seconds=time.monotonic() - began)
                self._groups[group.file, group.name] = done
        self.evaluated()

    def _rule(
        self, evaluator: Evaluator, status: RuleStatus, group: Group, now: int, queries: RoundQueries
    ) -> tuple[RuleStatus, Samples]:
        """Return the rule after its evaluation, and the samples to store."""
        began = time.monotonic()
        rule, samples = status.rule, NO_SAMPLES
        try:
            evaluation = evaluator.evaluate(rule, status.state)
        except Exception:  # noqa: BLE001 -- a bug costs this rule, not all alerts
            if status.error != _INTERNAL:
                _LOG.exception("rule %s of group %s: internal error", rule.name, group.name)
            evaluation = Evaluation(status.state, error=_INTERNAL)
        if evaluation.samples is not NO_SAMPLES:
            samples = evaluation.samples
            queries.record(rule, samples)
        for one in evaluation.template_errors:
            _LOG.warning("rule %s of group %s: a template failed: %s", rule.name, group.name, one)
        seconds = time.monotonic() - began
        return RuleStatus(rule, status.identity, evaluation.state, now, seconds, evaluation.error), samples

    def _count(self, before: Sequence[RuleStatus], rules: Sequence[RuleStatus], group: Group) -> None:
        """Count the evaluations of a group, and log new errors."""
        counts = self.counts.of(group)
        self.counts.evaluations += len(rules)
        for last, rule in zip(before, rules, strict=True):
            if rule.error:
                self.counts.failures += 1
                counts.failures += 1
                if rule.error != last.error:
                    _LOG.warning("rule %s of group %s failed: %s", rule.rule.name, group.name, rule.error)

    def _save(
        self, group: Group, changed: Sequence[tuple[RuleStatus, RuleStatus]], now: int, *, is_waiting: bool
    ) -> None:
        """Save the states that have changed, and the time of the evaluation if a pending alert needs it.

        See `_resumed`. Without a pending alert and a change, nothing is written.
        """
        states = {rule.identity: rule.state for last, rule in changed if rule.state != last.state}
        if not states and not is_waiting:
            return
        try:
            self._saved.save(now, _group_key(group), states)
        except HubError as error:
            _LOG.warning("cannot store the alert states of group %s: %s", group.name, error)


def _group_key(group: Group) -> str:
    return f"{group.file}\0{group.name}"


def _identities(group: Group) -> list[tuple[Rule, str]]:
    """Return each rule with a text that identifies it across restarts: group, name, and place among equal names."""
    seen: dict[str, int] = {}
    found = []
    for rule in group.rules:
        name = f"{_group_key(group)}\0{type(rule).__name__}\0{rule.name}"
        seen[name] = seen.get(name, 0) + 1
        found.append((rule, f"{name}\0{seen[name]}"))
    return found


def _resumed(rule: Rule, identity: str, state: tuple[int, RuleState] | None, group: Group, now: int) -> RuleStatus:
    """Return a rule with the state of its last evaluation.

    After an outage, it is unknown whether the expressions had a result. Pending alerts wait longer by its length.
    """
    if state is None:
        return RuleStatus(rule, identity)
    evaluated, found = state
    outage = now - evaluated - group.interval
    if outage > _OUTAGE_INTERVALS * group.interval:
        found = replace(found, alerts={labels: _postponed(one, outage) for labels, one in found.alerts.items()})
    return RuleStatus(rule, identity, found, evaluated)


def _postponed(alert: Alert, milliseconds: int) -> Alert:
    if alert.state.phase != "pending":
        return alert
    return replace(alert, state=replace(alert.state, active=alert.state.active + milliseconds))
