"""One evaluation of a rule, which returns the samples to store and the new state of the alerts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from metricat_hub.evaluation.rules import RecordingRule
from metricat_hub.evaluation.samples import NO_SAMPLES, Samples
from metricat_hub.evaluation.templates import QueryResult, TemplateData
from metricat_hub.model.errors import HubError
from metricat_hub.model.labels import NAME, from_mapping, text
from metricat_hub.promql.label_memo import remembered
from metricat_rules.alert_state import AlertState, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from metricat_hub.evaluation.rules import AlertingRule, Group, Rule
    from metricat_hub.evaluation.templates import Template
    from metricat_hub.model.labels import Labels

    Query: TypeAlias = Callable[[str, int], Sequence[tuple[Labels, float]]]
    """Evaluates an expression at a time in milliseconds; returns the labels and value of each result series."""

ALERTS, ALERTS_FOR_STATE = "ALERTS", "ALERTS_FOR_STATE"
_ALERT_NAME, _ALERT_STATE = "alertname", "alertstate"


class RuleError(HubError):
    """The result of a rule is not valid: two series have the same labels, or it has too many series."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert of a rule. `annotations` and `value` are from the last evaluation with a result for this alert."""

    labels: Labels
    annotations: Mapping[str, str]
    value: float
    state: AlertState


@dataclass(frozen=True, slots=True)
class RuleState:
    """The state of a rule between two evaluations."""

    alerts: Mapping[Labels, Alert] = field(default_factory=dict)
    """Alerts that are pending or firing, and those that have resolved recently."""
    series: tuple[Labels, ...] = ()
    """The labels of the series that the last evaluation stored."""
    results: Sequence[Labels] | None = field(default=None, compare=False, repr=False)
    """The result labels from which a recording rule built `series`. For the same object, it reuses `series`."""
    expanded: Mapping[Labels, Alert] = field(default_factory=dict, compare=False, repr=False)
    """The alerts of the last result, by its labels. If the value is the same, the expanded texts are reused."""
    expanded_rule: AlertingRule | None = field(default=None, compare=False, repr=False)
    """The rule whose templates `expanded` has. After an edit of the rule, the texts are not reused."""


@dataclass(slots=True)  # not frozen: a frozen object takes three times as long to create
class Evaluation:
    """The result of an evaluation. After an error, no samples are stored and no series end."""

    state: RuleState
    samples: Samples = NO_SAMPLES
    error: str = ""
    template_errors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Data of the hub that the templates of alerts can read."""

    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""


class Evaluator:
    """Evaluates the rules of a group at one time, in milliseconds since 1970."""

    def __init__(self, group: Group, now: int, query: Query, surroundings: Surroundings) -> None:
        self._group = group
        self._now = now
        self._at = now - group.query_offset
        self._query = query
        self._surroundings = surroundings

    def evaluate(self, rule: Rule, state: RuleState) -> Evaluation:
        """Evaluate a rule; return the samples to store and the new state. Errors of the rule are part of the result."""
        try:
            result = self._query(rule.expression, self._at)
            return (
                self._recorded(rule, result, state)
                if isinstance(rule, RecordingRule)
                else self._alerts(rule, result, state)
            )
        except _TooManyAlertsError as error:
            return Evaluation(RuleState(series=state.series), error=str(error))
        except HubError as error:
            return Evaluation(state, error=str(error))

    def _recorded(self, rule: RecordingRule, result: Sequence[tuple[Labels, float]], state: RuleState) -> Evaluation:
        found = Samples.of(result)
        if found.labels is state.results and not self._group.limit:
            return Evaluation(state, Samples(state.series, found.values))
        named = state.series if found.labels is state.results else _named(rule, found.labels)
        if 0 < self._group.limit < len(named):
            raise RuleError(
                f"the result has {len(named)} series, above the limit {self._group.limit} of the group; aggregate the "
                "result, or "
                "raise limit"
            )
        return _with_ends({}, Samples(named, found.values), state, found.labels)

    def _alerts(self, rule: AlertingRule, result: Sequence[tuple[Labels, float]], state: RuleState) -> Evaluation:
        if not result and not state.alerts:
            return _with_ends(state.alerts, NO_SAMPLES, state) if state.series else Evaluation(state)
        errors: list[str] = []
        known = state.expanded if state.expanded_rule is rule else {}
        expanded = self._expanded(rule, result, known, errors)
        found = {one.labels: one for one in expanded.values()}
        alerts: dict[Labels, Alert] = {}
        for labels in dict.fromkeys((*found, *state.alerts)):
            before, active = state.alerts.get(labels), found.get(labels)
            after = step(before.state if before else None, self._now, rule.timing, has_result=active is not None)
            shown = active or before
            if after and shown:
                alerts[labels] = Alert(shown.labels, shown.annotations, shown.value, after)
        current = [one for one in alerts.values() if one.state.resolved is None]
        if 0 < self._group.limit < len(current):
            raise _TooManyAlertsError(
                f"{len(current)} alerts are active, above the limit {self._group.limit} of the group; aggregate the "
                "result, or "
                "raise limit"
            )
        samples = Samples.of([sample for one in current for sample in _samples(one)])
        evaluation = _with_ends(alerts, samples, state)
        kept = replace(evaluation.state, expanded={} if errors else expanded, expanded_rule=rule)
        return replace(evaluation, state=kept, template_errors=errors)

    def _expanded(
        self,
        rule: AlertingRule,
        result: Sequence[tuple[Labels, float]],
        known: Mapping[Labels, Alert],
        errors: list[str],
    ) -> dict[Labels, Alert]:
        """Return the alert of each result by the labels of the result, and collect the errors of templates."""
        is_fixed = all(one.is_fixed for one in (*rule.labels.values(), *rule.annotations.values()))
        expanded: dict[Labels, Alert] = {}
        identities: set[Labels] = set()
        for labels, value in result:
            alert = known.get(labels) if is_fixed else None
            if alert is None or alert.value != value:
                alert = self._alert(rule, labels, value, errors, alert)
            if alert.labels in identities:
                raise RuleError(
                    f"two alerts have the same labels {text(alert.labels)}; keep labels that distinguish them"
                )
            identities.add(alert.labels)
            expanded[labels] = alert
        return expanded

    def _alert(
        self, rule: AlertingRule, labels: Labels, value: float, errors: list[str], before: Alert | None
    ) -> Alert:
        """Return the alert of a result. `before` is the alert of the same labels with another value."""
        own = dict(labels)
        data = TemplateData(
            own,
            value,
            self._surroundings.external_labels,
            self._surroundings.external_url,
            self._now / 1000,
            self._template_query,
        )
        if before is not None and all(one.is_of_labels for one in rule.labels.values()):
            identity = before.labels
        else:
            added = {name: _expanded(template, data, errors) for name, template in rule.labels.items()}
            identity = from_mapping({**own, NAME: "", **added, _ALERT_NAME: rule.name})
        annotations = {
            name: before.annotations[name]
            if before is not None and template.is_of_labels
            else _expanded(template, data, errors)
            for name, template in rule.annotations.items()
        }
        return Alert(identity, annotations, value, AlertState(self._now))

    def _template_query(self, expression: str) -> list[QueryResult]:
        return [QueryResult(dict(labels), value) for labels, value in self._query(expression, self._now)]


class _TooManyAlertsError(RuleError):
    """The rule has more alerts than the limit. Its states are dropped, as Prometheus drops them."""


def _named(rule: RecordingRule, results: tuple[Labels, ...]) -> tuple[Labels, ...]:
    """Return the series that a recording rule stores for the labels of its results."""
    named = remembered(
        ("record", rule.name, tuple(rule.labels.items())),
        results,
        lambda: tuple(from_mapping({**dict(labels), **rule.labels, NAME: rule.name}) for labels in results),
    )
    seen: set[Labels] = set()
    for labels in named:
        if labels in seen:
            raise RuleError(
                f"the result has two series with the labels {text(labels)}; keep labels that distinguish them"
            )
        seen.add(labels)
    return named


def _with_ends(
    alerts: Mapping[Labels, Alert], samples: Samples, before: RuleState, results: Sequence[Labels] | None = None
) -> Evaluation:
    """Return the evaluation with a staleness marker for each series that the last one stored and this one does not.

    The state is the same object if it does not change.
    """
    is_same = samples.labels == before.series
    series = before.series if is_same else samples.labels
    samples = Samples(series, samples.values)
    if is_same and results is before.results and not alerts and not before.alerts:
        return Evaluation(before, samples)
    ends = () if is_same else sorted(set(before.series).difference(series))
    return Evaluation(RuleState(alerts, series, results), samples.with_ends(ends))


def _samples(alert: Alert) -> Iterator[tuple[Labels, float]]:
    """Yield the samples of an alert that is pending or firing."""
    active, since = _series_of(alert.labels, alert.state.phase)
    yield active, 1.0
    yield since, float(alert.state.active // 1000)


@lru_cache(maxsize=4096)
def _series_of(labels: Labels, phase: str) -> tuple[Labels, Labels]:
    """Return the series of an alert that is pending or firing. They are the same in most rounds."""
    own = dict(labels)
    return (
        from_mapping({**own, NAME: ALERTS, _ALERT_STATE: phase}),
        from_mapping({**own, NAME: ALERTS_FOR_STATE}),
    )


def _expanded(template: Template, data: TemplateData, errors: list[str]) -> str:
    """Return the text of a template. An error becomes the text, because an alert without a text is still useful."""
    try:
        return template.expand(data)
    except HubError as error:
        errors.append(f"{template.source!r}: {error}")
        return f"<error expanding template: {error}>"
