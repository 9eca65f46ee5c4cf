"""Backtest: evaluates a rule over stored samples, with the state machine and the labels of live evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from metricat_hub.evaluation.evaluate import Evaluator, RuleError, RuleState, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from metricat_hub.evaluation.evaluate import Alert, Query
    from metricat_hub.evaluation.rules import AlertingRule, Group
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Series


@dataclass(frozen=True, slots=True)
class Episode:
    """One period in which an alert was active. Times are milliseconds since 1970-01-01 UTC."""

    labels: Labels
    active: int
    fired: int | None
    """When the alert fired; None: it was only pending."""
    ended: int | None
    """When the alert ended; None: it was active at the end of the time range."""
    value: float
    """The value of the last result in the period."""


def evaluations(
    group: Group, rule: AlertingRule, times: Sequence[int], results: Sequence[Series], query: Query
) -> Iterator[tuple[int, RuleState]]:
    """Yield time and state of each evaluation at which an alert is active or ends, without annotations.

    Args:
        group: the group of the rule.
        rule: the rule.
        times: the times of the evaluations in milliseconds.
        results: the result of the rule's expression as series, with values at some or all of `times`.
        query: evaluates further expressions, which templates of labels may have.

    Raises:
        HubError: an evaluation fails, for example because two alerts have the same labels.
    """
    by_time: dict[int, list[tuple[Labels, float]]] = {}
    for series in results:
        for at, value in zip(series.times.tolist(), series.values.tolist(), strict=True):
            by_time.setdefault(at, []).append((series.labels, value))
    own = replace(group, query_offset=0)
    silent = replace(rule, annotations={})
    state = RuleState()
    for now in times:
        found = by_time.get(now, [])
        if not found and not state.alerts:
            continue

        def answer(
            expression: str, at: int, found: Sequence[tuple[Labels, float]] = found
        ) -> Sequence[tuple[Labels, float]]:
            return found if expression == rule.expression else query(expression, at)

        evaluation = Evaluator(own, now, answer, Surroundings()).evaluate(silent, state)
        if evaluation.error:
            raise RuleError(evaluation.error)
        state = evaluation.state
        yield now, state


def episodes(states: Iterator[tuple[int, RuleState]]) -> list[Episode]:
    """Return the episodes of all alerts, the earliest first."""
    done: list[Episode] = []
    before: Mapping[Labels, Alert] = {}
    for now, state in states:
        current = {labels: one for labels, one in state.alerts.items() if one.state.resolved is None}
        for labels, one in before.items():
            same = current.get(labels)
            if same is None or same.state.active != one.state.active:
                done.append(_episode(one, now))
        before = current
    done += [_episode(one, None) for one in before.values()]
    return sorted(done, key=lambda one: (one.active, one.labels))


def _episode(alert: Alert, ended: int | None) -> Episode:
    fired = alert.state.fired
    return Episode(alert.labels, int(alert.state.active), None if fired is None else int(fired), ended, alert.value)
