"""Evaluation of rules: what promtool's cases do not show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_hub.evaluation.evaluate import Evaluator, RuleState, Surroundings
from metricat_hub.evaluation.rules import AlertingRule, Group, RecordingRule
from metricat_hub.evaluation.samples import Samples
from metricat_hub.evaluation.templates import Template
from metricat_hub.model.errors import LimitError
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.samples import is_stale
from metricat_rules.alert_state import Timing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.evaluation.evaluate import Evaluation
    from metricat_hub.evaluation.rules import Rule
    from metricat_hub.model.labels import Labels

A, B = (from_mapping({"__name__": "x", "node": node}) for node in "ab")
ALERT = AlertingRule("High", "x > 1", Timing(2_000, 0, 900_000), {"severity": Template("warning")})
RECORD = RecordingRule("y", "2 * x", {"unit": "m"})


def evaluated(
    rule: Rule, state: RuleState, result: Sequence[tuple[Labels, float]], *, now: int = 0, limit: int = 0
) -> Evaluation:
    group = Group("g", "f", 1_000, (rule,), limit, query_offset=500)
    asked = []

    def query(expression: str, at: int) -> Sequence[tuple[Labels, float]]:
        asked.append((expression, at))
        return result

    evaluation = Evaluator(group, now, query, Surroundings()).evaluate(rule, state)
    assert asked == [(rule.expression, now - 500)]
    return evaluation


def test_series_that_ends_gets_one_staleness_marker() -> None:
    first = evaluated(RECORD, RuleState(), [(A, 1.0), (B, 2.0)])
    assert [(dict(labels)["node"], value) for labels, value in first.samples] == [("a", 1.0), ("b", 2.0)]
    second = evaluated(RECORD, first.state, [(A, 1.0)])
    (kept, _), (ended, end) = second.samples
    assert (dict(kept)["node"], dict(ended)["node"]) == ("a", "b")
    assert is_stale(np.array([end])).all()
    assert len(evaluated(RECORD, second.state, [(A, 1.0)]).samples) == 1


def test_state_is_the_same_object_while_a_recording_rule_stores_the_same_series() -> None:
    first = evaluated(RECORD, RuleState(), Samples((A, B), np.array([1.0, 2.0])))
    [labels] = [first.samples.labels]
    results = Samples((A, B), np.array([3.0, 4.0]))
    second = evaluated(RECORD, first.state, results)
    third = evaluated(RECORD, second.state, results)
    assert third.state is second.state
    assert third.samples.labels is second.samples.labels is labels
    assert third.samples.values.tolist() == [3.0, 4.0]
    empty = evaluated(RECORD, third.state, [])
    assert [dict(labels)["node"] for labels, _ in empty.samples] == ["a", "b"]
    assert empty.state.series == ()


def test_failing_rule_keeps_its_state_and_ends_no_series() -> None:
    first = evaluated(ALERT, RuleState(), [(A, 2.0)])

    def fail(_: str, __: int) -> Sequence[tuple[Labels, float]]:
        raise LimitError("too many samples")

    failed = Evaluator(Group("g", "f", 1_000, (ALERT,)), 1_000, fail, Surroundings()).evaluate(ALERT, first.state)
    assert (failed.error, list(failed.samples), failed.state) == ("too many samples", [], first.state)


def test_too_many_alerts_drop_the_states() -> None:
    one = evaluated(ALERT, RuleState(), [(A, 2.0)], limit=1)
    assert not one.error
    two = evaluated(ALERT, one.state, [(A, 2.0), (B, 2.0)], limit=1)
    assert two.error.startswith("2 alerts are active, above the limit 1 of the group; ")
    assert not two.state.alerts
    assert two.state.series == one.state.series


def test_equal_labels_are_an_error_that_names_them() -> None:
    rule = RecordingRule("y", "x", {"node": "all"})
    assert evaluated(rule, RuleState(), [(A, 1.0), (B, 2.0)]).error == (
        'the result has two series with the labels y{node="all"}; keep labels that distinguish them'
    )


def test_resolved_alert_fires_again_as_a_new_one() -> None:
    state = RuleState()
    phases = []
    for second, active in enumerate([True, True, True, False, True]):
        evaluation = evaluated(ALERT, state, [(A, 2.0)] if active else [], now=second * 1_000)
        state = evaluation.state
        phases += [(one.state.phase, one.state.active) for one in state.alerts.values()]
    assert phases == [("pending", 0), ("pending", 0), ("firing", 0), ("resolved", 0), ("pending", 4_000)]


def test_texts_follow_value_and_time() -> None:
    rule = AlertingRule(
        "High", "x", Timing(), {}, {"value": Template("{{ $value }}"), "at": Template("{{ now }} {{ $value }}")}
    )
    fixed = AlertingRule("High", "x", Timing(), {}, {"value": Template("{{ $value }}")})
    for one, expected in ((rule, ["0 1", "1 1", "2 2"]), (fixed, ["1", "1", "2"])):
        state = RuleState()
        texts = []
        for second, value in enumerate([1.0, 1.0, 2.0]):
            state = evaluated(one, state, [(A, value)], now=second * 1_000).state
            [alert] = state.alerts.values()
            texts.append(list(alert.annotations.values())[-1])
            assert (alert.value, alert.state.active) == (value, 0)
        assert texts == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ $labels.node }}",
        "{{ $labels.node }}: {{ $value }}",
        "{{ .Value }}",
        "{{ with $value }}{{ . }}{{ end }}",
        "x",
    ],
)
def test_text_is_expanded_again_only_if_it_reads_the_value(source: str) -> None:
    template = Template(source)
    rule = AlertingRule("High", "x", Timing(), {"from": template}, {"text": template})
    before = evaluated(rule, RuleState(), [(A, 1.0)]).state
    after = evaluated(rule, before, [(A, 2.0)]).state
    fresh = evaluated(rule, RuleState(), [(A, 2.0)]).state
    [expected] = fresh.alerts.values()
    found = after.alerts[expected.labels]
    assert (found.value, found.annotations) == (2.0, expected.annotations)
    assert template.is_of_labels == ("alue" not in source)


def test_edited_rule_has_its_new_texts_at_once() -> None:
    rule = AlertingRule("High", "x", Timing(), {}, {"value": Template("{{ $value }}")})
    state = evaluated(rule, RuleState(), [(A, 1.0)]).state
    edited = replace(rule, annotations={"value": Template("now {{ $value }}")})
    [alert] = evaluated(edited, state, [(A, 1.0)]).state.alerts.values()
    assert alert.annotations == {"value": "now 1"}


def test_failing_template_becomes_the_text_of_its_label() -> None:
    rule = AlertingRule("High", "x", Timing(), {"node": Template("{{ query `y` | first }}")})
    group = Group("g", "f", 1_000, (rule,))
    results = {"x": [(A, 1.0)], "y": []}
    found = Evaluator(group, 0, lambda text, _: results[text], Surroundings()).evaluate(rule, RuleState())
    [alert] = found.state.alerts.values()
    assert dict(alert.labels)["node"].startswith("<error expanding template: first: the argument is an empty result")
    assert len(found.template_errors) == 1
