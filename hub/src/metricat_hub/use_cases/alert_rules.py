"""Alert rules that users read and change: shipped rules, rules in files, and rules of the API.

A change creates a new version. The evaluation uses it immediately, because `changed` is called after each change.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from metricat_hub.evaluation import alert_rules, backtest
from metricat_hub.evaluation.evaluate import Evaluator, RuleState, Surroundings
from metricat_hub.evaluation.rules import AlertingRule
from metricat_hub.evaluation.shipped import FILE as SHIPPED_FILE
from metricat_hub.evaluation.shipped import Override, defaults, shipped_alert
from metricat_hub.model.alert_rules import RuleBody, RuleConflictError, RuleNotFoundError, RuleVersion, StaleRuleError
from metricat_hub.model.errors import HubError, InvalidParameterError
from metricat_hub.model.ports import Series
from metricat_hub.use_cases.metric_names import rate_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from metricat_hub.evaluation.backtest import Episode
    from metricat_hub.evaluation.evaluate import Alert
    from metricat_hub.evaluation.rules import Group
    from metricat_hub.model.alert_rules import Action, Source
    from metricat_hub.model.labels import Labels
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.store.rule_versions import RuleVersions
    from metricat_hub.use_cases.cancellation import Cancellation
    from metricat_hub.use_cases.rules import GroupStatus, Rules, RuleStatus

MOST_RULES = 1_000
"""The most rules of the API."""
_MOST_STEPS = 10_000
"""The most evaluations of one rule in a backtest."""
_STEPS_OF_QUERY = 2_000
_LONGEST = 400 * 86_400_000


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alert rule with its version and the status of its evaluation."""

    id: str
    source: Source
    name: str
    body: RuleBody | None
    """The rule as stored through the API; None: a rule in a file, or a shipped alert with its defaults."""
    group: Group
    """The compiled rules: one, or one for each level of a shipped alert."""
    version: int = 0
    """The version of the rule; 0: never changed through the API."""
    changed: RuleVersion | None = None
    statuses: Sequence[RuleStatus] = ()
    """The statuses of the compiled rules that are evaluated."""

    @property
    def enabled(self) -> bool:
        """Whether the hub evaluates at least one compiled rule."""
        return bool(self.group.rules) and (self.body is None or self.body.enabled)


@dataclass(frozen=True, slots=True)
class DryRun:
    """The result of a dry run: the alerts that a rule would have now."""

    at: int
    alerts: Sequence[Alert]
    errors: Sequence[str]


@dataclass(frozen=True, slots=True)
class Backtest:
    """The result of a backtest: when a rule would have been active. Times and the step are in milliseconds."""

    start: int
    end: int
    step: int
    rules: Sequence[tuple[AlertingRule, Sequence[Episode]]] = field(default=())


class AlertRules:
    """The alert rules of a hub. Thread-safe; its methods block."""

    def __init__(  # noqa: PLR0913 -- wiring
        self,
        rules: Rules,
        versions: RuleVersions,
        queries: QueryEngine,
        now: Callable[[], int],
        *,
        scrape_interval: int,
        interval: int,
        is_shipped: bool = True,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`is_shipped` says whether the hub evaluates the shipped alerts. Durations are in milliseconds."""
        self._rules = rules
        self._versions = versions
        self._queries = queries
        self._now = now
        self._scrape_interval = scrape_interval
        self._interval = interval
        self.is_shipped = is_shipped
        self._shipped = alert_rules.SHIPPED if is_shipped else {}
        self._changed = changed

    # What is evaluated

    def overrides(self) -> dict[str, Override]:
        """Return the user's settings of shipped alerts. Settings that this release rejects are left out."""
        found = {}
        for name, version in self._versions.current().items():
            alert = self._shipped.get(name)
            if alert and version.body:
                try:
                    found[name] = alert_rules.override_of(alert, version.body)
                except HubError:
                    continue
        return found

    def groups(self) -> tuple[list[Group], list[str]]:
        """Return the groups of the rules of the API, and the problems of rules that this release rejects."""
        found, problems = [], []
        for identifier, version in self._versions.current().items():
            body = version.body
            try:
                if identifier in alert_rules.SHIPPED:
                    if body:
                        alert_rules.override_of(alert_rules.SHIPPED[identifier], body)
                elif body and body.enabled:
                    found.append(self._compiled(identifier, body))
            except HubError as error:
                problems.append(f"alert rule {identifier} is not evaluated: {error}")
        return found, problems

    # Reading

    def all(self) -> list[AlertRule]:
        """Return all alert rules: the shipped ones, those of files, those of the API."""
        versions, groups = self._versions.current(), self._rules.groups()
        shipped = [self._of_shipped(name, versions.get(name), groups) for name in self._shipped]
        own = [
            self._of_api(version, groups)
            for identifier, version in versions.items()
            if identifier not in alert_rules.SHIPPED and version.body
        ]
        return [*shipped, *self._of_files(groups), *own]

    def get(self, identifier: str) -> AlertRule:
        """Return one rule; raise `RuleNotFoundError` if it does not exist."""
        groups = self._rules.groups()
        if identifier in self._shipped:
            return self._of_shipped(identifier, self._versions.current().get(identifier), groups)
        version = self._versions.current().get(identifier)
        if version and version.body and identifier not in alert_rules.SHIPPED:
            return self._of_api(version, groups)
        found = next((one for one in self._of_files(groups) if one.id == identifier), None)
        if found is None:
            raise RuleNotFoundError(
                f"no alert rule has the identifier {identifier[:100]!r}; list the rules with: GET /api/alerts/rules"
            )
        return found

    def versions(self, identifier: str) -> list[RuleVersion]:
        """Return the versions of a rule, the oldest first, even if the rule was deleted."""
        found = self._versions.of(identifier)
        if not found:
            self.get(identifier)
        return found

    # Changing

    def preview(self, identifier: str, body: RuleBody) -> AlertRule:
        """Return a rule as it would be after a change; without an identifier, a new rule."""
        if identifier and identifier not in self._shipped:
            self._check_writable(identifier)
        return self._check_body(identifier or "new", body)

    def create(self, body: RuleBody, actor: str, comment: str) -> AlertRule:
        """Store a new rule."""
        self._of_body("new", body)
        if sum(1 for one in self._versions.current().values() if one.body) >= MOST_RULES:
            raise RuleConflictError(
                f"{MOST_RULES} rules were created through the API, which is the limit; write further rules to a rule "
                "file"
            )
        identifier = f"r{secrets.token_hex(6)}"
        self._store(identifier, 1, "create", body, actor, comment)
        return self.get(identifier)

    def change(self, identifier: str, body: RuleBody, version: int, actor: str, comment: str) -> AlertRule:
        """Replace a rule, or the settings of a shipped alert.

        Raises:
            StaleRuleError: the rule does not have the given version.
        """
        self._check_version(identifier, version)
        self.preview(identifier, body)
        self._store(identifier, version + 1, "update", body, actor, comment)
        return self.get(identifier)

    def remove(self, identifier: str, version: int, actor: str, comment: str) -> None:
        """Delete a rule, or reset a shipped alert to its defaults."""
        self._check_version(identifier, version)
        if version == 0:
            raise RuleConflictError(
                f"{identifier} is a shipped alert and already has its default settings; to stop it, disable its levels"
            )
        self._store(identifier, version + 1, "delete", None, actor, comment)

    def restore(self, identifier: str, number: int | None, version: int, actor: str, comment: str) -> AlertRule | None:
        """Make the version `number` the current one; None: undo the last change.

        Return the rule; None if the rule did not exist in that version.

        Raises:
            RuleNotFoundError: the rule has no such version.
            RuleConflictError: the rule was never changed, or did not exist in that version and does not exist now.
            StaleRuleError: the rule does not have the given version.
        """
        found = self._versions.of(identifier)
        if not found:
            self._check_version(identifier, version)
            raise RuleConflictError(f"{identifier} was never changed, so there is nothing to undo")
        if found[-1].number != version:
            raise _stale(identifier, found[-1].number, version)
        number = version - 1 if number is None else number
        if not 0 <= number < version:
            raise RuleNotFoundError(
                f"rule {identifier} has no version {number} before its version {version}; list the versions with: GET "
                f"/api/alerts/rules/{identifier}/versions"
            )
        body = found[number - 1].body if number else None
        if body is None:
            if found[-1].body is None:
                raise RuleConflictError(
                    f"{identifier} did not exist in version {number} and does not exist now; restore another version"
                )
            self._store(identifier, version + 1, "restore", None, actor, comment)
            return self.get(identifier) if identifier in self._shipped else None
        self._check_body(identifier, body)
        self._store(identifier, version + 1, "restore", body, actor, comment)
        return self.get(identifier)

    # Trying

    def dry_run(self, rule: AlertRule, cancellation: Cancellation) -> DryRun:
        """Evaluate a rule over as much history as its `for` duration needs; return the alerts it would have now."""
        now = self._now()
        alerts: list[Alert] = []
        errors: list[str] = []
        query = self._query(cancellation)
        for one in _alerting(rule.group):
            span = int(one.timing.hold + one.timing.keep_firing) + rule.group.interval
            before = RuleState()
            for at, state in self._evaluations(rule.group, one, now - span, now, self._step(rule.group, span), query):
                if at < now:
                    before = state
            evaluation = Evaluator(rule.group, now, query, Surroundings()).evaluate(one, before)
            errors += [text for text in (evaluation.error, *evaluation.template_errors) if text]
            alerts += [alert for alert in evaluation.state.alerts.values() if alert.state.resolved is None]
        return DryRun(now, sorted(alerts, key=lambda alert: alert.labels), errors)

    def backtest(self, rule: AlertRule, start: int, end: int, step: int, cancellation: Cancellation) -> Backtest:
        """Return when a rule would have been active from start to end. A step of 0 means at least the rule's interval.

        Raises:
            InvalidParameterError: the range or the step is not valid.
        """
        if not start < end:
            raise InvalidParameterError("start", "the start is not before the end; set an earlier start")
        if end - start > _LONGEST:
            raise InvalidParameterError("start", "the range is longer than 400 days; set a later start")
        step = step or self._step(rule.group, end - start)
        if (end - start) // step > _MOST_STEPS:
            raise InvalidParameterError(
                "step", f"the range has more than {_MOST_STEPS} evaluations; set a longer step, or a shorter range"
            )
        query = self._query(cancellation)
        found = [
            (one, backtest.episodes(self._evaluations(rule.group, one, start, end, step, query)))
            for one in _alerting(rule.group)
        ]
        return Backtest(start, end, step, found)

    def _step(self, group: Group, span: int) -> int:
        """Return the interval of the group, or the least multiple of it with which a span has few enough steps."""
        return group.interval * max(1, -(-span // (group.interval * _MOST_STEPS)))

    def _evaluations(  # noqa: PLR0913, PLR0917 -- private
        self, group: Group, rule: AlertingRule, start: int, end: int, step: int, query: _Query
    ) -> Iterator[tuple[int, RuleState]]:
        """Yield the states of a rule from start to end; the last evaluation is at the end."""
        first = end - (end - start) // step * step
        results: list[Series] = []
        at = first
        while at <= end:
            until = min(end, at + (_STEPS_OF_QUERY - 1) * step)
            offset = group.query_offset
            results += query.range(rule.expression, at - offset, until - offset, step, offset)
            at = until + step
        return backtest.evaluations(group, rule, range(first, end + 1, step), results, query)

    def _query(self, cancellation: Cancellation) -> _Query:
        return _Query(self._queries, cancellation)

    # Parts

    def _compiled(self, identifier: str, body: RuleBody) -> Group:
        return alert_rules.group_of(identifier, body, self._interval, rate_window(self._scrape_interval))

    def _check_body(self, identifier: str, body: RuleBody) -> AlertRule:
        if identifier not in self._shipped:
            return self._of_body(identifier, body)
        override = alert_rules.override_of(self._shipped[identifier], body)
        return AlertRule(identifier, "shipped", identifier, body, self._shipped_group(identifier, override))

    def _of_body(self, identifier: str, body: RuleBody) -> AlertRule:
        group = self._compiled(identifier, body)
        return AlertRule(identifier, "api", group.rules[0].name, body, group)

    def _of_api(self, version: RuleVersion, groups: Sequence[GroupStatus]) -> AlertRule:
        assert version.body  # noqa: S101 -- the caller has checked it
        found = self._of_body(version.rule, version.body)
        statuses = [
            one
            for status in groups
            if (status.group.file, status.group.name) == (alert_rules.FILE, version.rule)
            for one in status.rules
        ]
        return AlertRule(found.id, "api", found.name, version.body, found.group, version.number, version, statuses)

    def _of_shipped(self, name: str, version: RuleVersion | None, groups: Sequence[GroupStatus]) -> AlertRule:
        alert = self._shipped[name]
        body = version.body if version else None
        override = alert_rules.override_of(alert, body) if body else Override(defaults(alert))
        statuses = [
            one
            for status in groups
            if status.group.file == SHIPPED_FILE
            for one in status.rules
            if isinstance(one.rule, AlertingRule) and one.rule.name == name
        ]
        number = version.number if version else 0
        return AlertRule(name, "shipped", name, body, self._shipped_group(name, override), number, version, statuses)

    def _shipped_group(self, name: str, override: Override) -> Group:
        return shipped_alert(self._shipped[name], override, self._scrape_interval, self._interval)

    @staticmethod
    def _of_files(groups: Sequence[GroupStatus]) -> list[AlertRule]:
        found = []
        for status in groups:
            group = status.group
            if group.file in (SHIPPED_FILE, alert_rules.FILE):
                continue
            for place, one in enumerate(status.rules):
                if isinstance(one.rule, AlertingRule):
                    text = f"{group.file}\0{group.name}\0{place}\0{one.rule.name}"
                    identifier = f"f{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"
                    own = replace(group, rules=(one.rule,))
                    found.append(AlertRule(identifier, "file", one.rule.name, None, own, statuses=[one]))
        return found

    def _check_writable(self, identifier: str) -> AlertRule:
        found = self.get(identifier)
        if found.source == "file":
            raise RuleConflictError(
                f"{found.name} is a rule of the file {found.group.file}; change it there, and the hub reads it again"
            )
        return found

    def _check_version(self, identifier: str, version: int) -> None:
        found = self._check_writable(identifier)
        if found.version != version:
            raise _stale(identifier, found.version, version)

    def _store(  # noqa: PLR0913, PLR0917 -- private
        self, identifier: str, number: int, action: Action, body: RuleBody | None, actor: str, comment: str
    ) -> None:
        self._versions.add(RuleVersion(identifier, number, self._now(), actor, action, comment, body))
        self._changed()


class _Query:
    """Evaluates expressions until a cancellation."""

    def __init__(self, queries: QueryEngine, cancellation: Cancellation) -> None:
        self._queries = queries
        self._cancellation = cancellation

    def __call__(self, expression: str, at: int) -> list[tuple[Labels, float]]:
        """Return the series of a result with their values."""
        result = self._queries.instant(expression, at, self._cancellation)
        if result.kind == "scalar":
            return [((), float(result.values[0]))]
        return list(zip(result.labels, result.values.tolist(), strict=True))

    def range(self, expression: str, start: int, end: int, step: int, offset: int) -> list[Series]:
        """Return the results from start to end, with their times shifted by an offset."""
        found = self._queries.range(expression, start, end, step, self._cancellation).series
        return [Series(one.labels, one.times + offset, one.values) for one in found]


def _alerting(group: Group) -> list[AlertingRule]:
    return [one for one in group.rules if isinstance(one, AlertingRule)]


def _stale(identifier: str, current: int, given: int) -> StaleRuleError:
    return StaleRuleError(
        f"rule {identifier} has version {current}, but the request expects version {given}. "
        "Read the rule again, and repeat the change."
    )
