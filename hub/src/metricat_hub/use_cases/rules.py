"""Evaluation of groups of rules: their states, what they store, and how each evaluation went."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.evaluation.evaluate import Evaluator, RuleState, Surroundings
from metricat_hub.evaluation.transitions import events
from metricat_hub.model.errors import HubError
from metricat_hub.model.samples import Batch
from metricat_hub.store.spreading import rejections
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.rule_round import RoundReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from metricat_hub.evaluation.evaluate import Alert, Sample
    from metricat_hub.evaluation.rules import Group, Rule
    from metricat_hub.model.alerts import AlertLog
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Writer
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.store.alert_states import AlertStates

_LOG = logging.getLogger(__name__)
_OUTAGE_INTERVALS = 2
"""Longer periods without an evaluation are outages."""


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """A rule, its state, and its last evaluation."""

    rule: Rule
    state: RuleState = field(default_factory=RuleState)
    evaluated: int = 0
    """Milliseconds since 1970-01-01 UTC; 0: never."""
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """A group, its rules, and its last evaluation."""

    group: Group
    rules: Sequence[RuleStatus]
    evaluated: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class GroupCounts:
    """Counters of one group since the start."""

    failures: int = 0
    missed: int = 0


@dataclass(slots=True)
class Counts:
    """Counters since the start."""

    evaluations: int = 0
    failures: int = 0
    missed: int = 0
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
        """Gets the events of alerts; None: they are not recorded."""
        self._queries = queries
        self._writer = writer
        self._saved = states
        self._surroundings = surroundings or Surroundings()
        self._query_seconds = query_seconds
        self._lock = threading.Lock()
        self._groups: dict[tuple[str, str], GroupStatus] = {}
        self.counts = Counts()
        self.evaluated: Callable[[], None] = lambda: None
        """Called after each evaluation of a group, in its thread."""

    def load(self, groups: Iterable[Group], now: int) -> None:
        """Replace all groups. Rules that existed before keep their states, also those of a former run."""
        saved = self._saved.load()
        loaded = {}
        identities: set[str] = set()
        for group in groups:
            rules = [_resumed(rule, saved.get(key), group, now) for rule, key in _identities(group)]
            identities.update(key for _, key in _identities(group))
            loaded[group.file, group.name] = GroupStatus(group, rules)
        with self._lock:
            self._groups = loaded
        if self.log:
            # A crash may have lost events, and alerts of removed rules end. The history ignores events that it has.
            self.log.record([one for _, state in saved.values() for one in events({}, state.alerts, now)])
            removed = [state for key, (_, state) in saved.items() if key not in identities]
            self.log.record([one for state in removed for one in events(state.alerts, {}, now)])
        self._saved.keep(identities)

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
        round_ = _Round(self._queries, now - group.query_offset, self._query_seconds)
        evaluator = Evaluator(group, now, round_.query, self._surroundings)
        rules = [self._rule(evaluator, one, group, now, round_) for one in status.rules]
        errors = round_.store(self._writer)
        self.counts.rejected_samples += round_.rejected
        rules = [replace(rule, error=rule.error or error) for rule, error in zip(rules, errors, strict=True)]
        for before, rule in zip(status.rules, rules, strict=True):
            self._count(before, rule, group)
        if self.log:
            pairs = zip(status.rules, rules, strict=True)
            self.log.record(
                [one for before, after in pairs for one in events(before.state.alerts, after.state.alerts, now)]
            )
        self._save(group, rules, now)
        with self._lock:
            if self._groups.get((group.file, group.name)) is status:
                done = replace(status, rules=rules, evaluated=now, seconds=time.monotonic() - began)
                self._groups[group.file, group.name] = done
        self.evaluated()

    def _rule(self, evaluator: Evaluator, status: RuleStatus, group: Group, now: int, round_: _Round) -> RuleStatus:
        began = time.monotonic()
        evaluation = evaluator.evaluate(status.rule, status.state)
        round_.record(() if evaluation.error else evaluation.samples)
        for one in evaluation.template_errors:
            _LOG.warning("rule %s of group %s: a template failed: %s", status.rule.name, group.name, one)
        return RuleStatus(status.rule, evaluation.state, now, time.monotonic() - began, evaluation.error)

    def _count(self, before: RuleStatus, rule: RuleStatus, group: Group) -> None:
        """Count an evaluation, and log a new error."""
        self.counts.evaluations += 1
        self.counts.failures += bool(rule.error)
        self.counts.of(group).failures += bool(rule.error)
        if rule.error and rule.error != before.error:
            _LOG.warning("rule %s of group %s failed: %s", rule.rule.name, group.name, rule.error)

    def _save(self, group: Group, rules: Sequence[RuleStatus], now: int) -> None:
        states = {
            key: status.state for status, (_, key) in zip(rules, _identities(group), strict=True) if status.evaluated
        }
        try:
            self._saved.save(now, states)
        except HubError as error:
            _LOG.warning("states of group %s: %s", group.name, error)


class _Round:
    """The queries of one evaluation of a group, and the samples that it stores."""

    def __init__(self, queries: QueryEngine, at: int, seconds: float) -> None:
        self._at = at
        self._seconds = seconds
        self._reader: RoundReader | None = None
        if isinstance(queries, Queries):
            self._reader = RoundReader(queries.reader, at)
            queries = queries.with_reader(self._reader)
        self._queries = queries
        self._samples: list[Sequence[Sample]] = []
        """The samples of each rule."""
        self.rejected = 0

    def query(self, expression: str, at: int) -> list[tuple[Labels, float]]:
        """Return the series of the result of an expression, with their values."""
        result = self._queries.instant(expression, at, Cancellation(self._seconds))
        if result.kind == "scalar":
            return [((), float(result.values[0]))]
        return list(zip(result.labels, result.values.tolist(), strict=True))

    def record(self, samples: Sequence[Sample]) -> None:
        """Store the samples of a rule at the end. The queries of later rules already see them."""
        self._samples.append(samples)
        if self._reader is not None:
            self._reader.record(samples)

    def store(self, writer: Writer) -> list[str]:
        """Store the samples of all rules. Return the error of each rule, or an empty text."""
        samples = [one for of_rule in self._samples for one in of_rule]
        if not samples:
            return [""] * len(self._samples)
        try:
            numbers = writer.resolve([one.labels for one in samples])
            # By number: the store keeps batches with the same series as a table.
            order = np.argsort(numbers, kind="stable")
            order = order[numbers[order] >= 0]
            times = np.full(len(order), self._at, dtype=np.int64)
            appended = writer.append(Batch(numbers[order], times, np.array([one.value for one in samples])[order]))
        except HubError as error:
            return [str(error) if of_rule else "" for of_rule in self._samples]
        rejected = numbers < 0
        mask = rejections(appended)
        if mask is not None:
            rejected[order] |= mask
        self.rejected = int(rejected.sum())
        ends = np.cumsum([len(of_rule) for of_rule in self._samples])
        return [_rejection(int(part.sum()), len(part)) for part in np.split(rejected, ends[:-1])]


def _rejection(rejected: int, samples: int) -> str:
    return f"the store rejected {rejected} of {samples} samples of the rule" if rejected else ""


def _identities(group: Group) -> list[tuple[Rule, str]]:
    """Return each rule with a text that identifies it across restarts: group, name, and place among equal names."""
    seen: dict[str, int] = {}
    found = []
    for rule in group.rules:
        name = f"{group.file}\0{group.name}\0{type(rule).__name__}\0{rule.name}"
        seen[name] = seen.get(name, 0) + 1
        found.append((rule, f"{name}\0{seen[name]}"))
    return found


def _resumed(rule: Rule, state: tuple[int, RuleState] | None, group: Group, now: int) -> RuleStatus:
    """Return a rule with the state of its last evaluation.

    After an outage, it is unknown whether the expressions had a result. Pending alerts wait longer by its length.
    """
    if state is None:
        return RuleStatus(rule)
    evaluated, found = state
    outage = now - evaluated - group.interval
    if outage > _OUTAGE_INTERVALS * group.interval:
        found = replace(found, alerts={labels: _postponed(one, outage) for labels, one in found.alerts.items()})
    return RuleStatus(rule, found, evaluated)


def _postponed(alert: Alert, milliseconds: int) -> Alert:
    if alert.state.phase != "pending":
        return alert
    return replace(alert, state=replace(alert.state, active=alert.state.active + milliseconds))
