"""Alert rules that users change: versions, dry run, backtest, and settings of shipped alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest

from metricat_hub.evaluation import rule_file
from metricat_hub.evaluation.evaluate import RuleState
from metricat_hub.evaluation.shipped import shipped_groups
from metricat_hub.model.alert_rules import (
    LevelBody,
    RuleBody,
    RuleConflictError,
    RuleNotFoundError,
    StaleRuleError,
)
from metricat_hub.model.errors import InvalidParameterError
from metricat_hub.promql.limits import Limits
from metricat_hub.store.alert_states import AlertStates
from metricat_hub.store.rule_versions import RuleVersions
from metricat_hub.use_cases.alert_rules import AlertRules
from metricat_hub.use_cases.cancellation import Cancellation
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.rules import Rules
from support.memory_reader import MemoryReader
from support.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = 7_200_000
STEP = 30_000
LEVEL = RuleBody(
    name="High", expression="level > 10", for_="2m", keep_firing_for="1m", labels={"at": "{{ $labels.x }}"}
)
CPU = "NodeCPUUsageHigh"


@dataclass
class Hub:
    reader: MemoryReader
    rules: Rules
    alert_rules: AlertRules
    changes: list[int]

    def load(self) -> None:
        """Load the rules as the running hub does after a change."""
        file = {"groups": [{"name": "own", "rules": [{"alert": "OfFile", "expr": "vector(1)"}]}]}
        groups, problems = self.alert_rules.groups()
        assert not problems
        shipped = shipped_groups(15_000, STEP, self.alert_rules.overrides())
        of_file = rule_file.parse(rule_file.node_of(file), "/etc/own.yaml", STEP)
        self.rules.load([*shipped, *of_file, *groups], NOW)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    reader, changes = MemoryReader(), [0]
    queries = Queries(cast("Any", reader), Limits())
    rules = Rules(queries, cast("Any", MemoryStore(NOW)), AlertStates(tmp_path))

    def changed() -> None:
        changes[0] += 1

    own = AlertRules(
        rules,
        RuleVersions(tmp_path),
        queries,
        lambda: NOW,
        scrape_interval=15_000,
        interval=STEP,
        changed=changed,
    )
    found = Hub(reader, rules, own, changes)
    found.load()
    return found


def levels(hub: Hub, since: int, value: float = 11.0) -> None:
    """Add a level of 0 until a time, and of `value` from then on."""
    times = range(0, NOW + 1, STEP)
    labels = {"__name__": "level", "x": "sea"}
    hub.reader.add(labels, [(at, value if at >= since else 0.0) for at in times])


def test_rule_has_versions_with_who_and_why(hub: Hub) -> None:
    rule = hub.alert_rules.create(LEVEL, "ann", "first")
    assert (rule.version, rule.name, rule.source) == (1, "High", "api")
    changed = hub.alert_rules.change(rule.id, RuleBody(name="Low", expression="level < 1"), 1, "bob", "second")
    assert (changed.version, changed.name) == (2, "Low")
    undone = hub.alert_rules.restore(rule.id, None, 2, "eve", "third")
    assert undone is not None
    assert (undone.version, undone.body) == (3, LEVEL)
    hub.alert_rules.remove(rule.id, 3, "ann", "fourth")
    with pytest.raises(RuleNotFoundError):
        hub.alert_rules.get(rule.id)
    restored = hub.alert_rules.restore(rule.id, 2, 4, "ann", "fifth")
    assert restored is not None
    assert restored.name == "Low"
    found = hub.alert_rules.versions(rule.id)
    assert [(one.actor, one.action, one.comment) for one in found] == [
        ("ann", "create", "first"),
        ("bob", "update", "second"),
        ("eve", "restore", "third"),
        ("ann", "delete", "fourth"),
        ("ann", "restore", "fifth"),
    ]
    assert hub.changes == [5]


def test_undo_of_the_creation_deletes_the_rule(hub: Hub) -> None:
    rule = hub.alert_rules.create(LEVEL, "ann", "")
    assert hub.alert_rules.restore(rule.id, None, 1, "ann", "") is None
    with pytest.raises(RuleNotFoundError):
        hub.alert_rules.get(rule.id)


def test_change_of_an_old_version_is_refused(hub: Hub) -> None:
    rule = hub.alert_rules.create(LEVEL, "ann", "")
    hub.alert_rules.change(rule.id, LEVEL, 1, "ann", "")
    changes: list[Callable[[], object]] = [
        lambda: hub.alert_rules.change(rule.id, LEVEL, 1, "bob", ""),
        lambda: hub.alert_rules.remove(rule.id, 1, "bob", ""),
        lambda: hub.alert_rules.restore(rule.id, 1, 1, "bob", ""),
        lambda: hub.alert_rules.change(CPU, RuleBody(), 1, "bob", ""),
    ]
    for change in changes:
        with pytest.raises(StaleRuleError):
            change()


def test_rule_of_a_file_is_listed_and_read_only(hub: Hub) -> None:
    [rule] = [one for one in hub.alert_rules.all() if one.source == "file"]
    assert hub.alert_rules.get(rule.id).name == "OfFile"
    changes: list[Callable[[], object]] = [
        lambda: hub.alert_rules.change(rule.id, LEVEL, 0, "ann", ""),
        lambda: hub.alert_rules.remove(rule.id, 0, "ann", ""),
        lambda: hub.alert_rules.preview(rule.id, LEVEL),
    ]
    for change in changes:
        with pytest.raises(RuleConflictError, match=r"OfFile is a rule of the file /etc/own\.yaml"):
            change()


def test_settings_of_a_shipped_alert_are_evaluated(hub: Hub) -> None:
    body = RuleBody(
        levels={"warning": LevelBody(70.0, "1m"), "critical": LevelBody(enabled=False)},
        pools={"batch": {"warning": LevelBody(99.0)}},
        labels={"team": "x"},
    )
    rule = hub.alert_rules.change(CPU, body, 0, "ann", "")
    hub.load()
    [alerts] = [one for one in hub.rules.groups() if one.group.name == "metricat-alerts"]
    found = [one.rule for one in alerts.rules if one.rule.name == CPU]
    assert [one.expression for one in found] == [
        'metricat:node_cpu_usage:percent{namespace="local",service="metricat",pool!~"batch"} >= 70',
        'metricat:node_cpu_usage:percent{namespace="local",service="metricat",pool="batch"} >= 99',
    ]
    assert [one.timing.hold for one in found] == [60_000, 60_000]  # type: ignore[union-attr]
    assert [one.expression for one in rule.group.rules] == [one.expression for one in found]
    hub.alert_rules.remove(CPU, 1, "ann", "")
    hub.load()
    assert len(hub.alert_rules.get(CPU).group.rules) == 2
    assert hub.alert_rules.get(CPU).version == 2


def test_stored_rule_is_evaluated_and_keeps_its_state_when_it_changes(hub: Hub) -> None:
    levels(hub, 0)
    rule = hub.alert_rules.create(LEVEL, "ann", "")
    hub.load()
    [status] = [one for one in hub.rules.groups() if one.group.name == rule.id]
    hub.rules.evaluate(status.group, NOW)
    assert [len(one.state.alerts) for one in hub.alert_rules.get(rule.id).statuses] == [1]
    hub.alert_rules.change(rule.id, RuleBody(name="High", expression="level > 9", for_="2m"), 1, "ann", "")
    hub.load()
    assert [len(one.state.alerts) for one in hub.alert_rules.get(rule.id).statuses] == [1]
    hub.alert_rules.change(rule.id, RuleBody(name="High", expression="level > 9", enabled=False), 2, "ann", "")
    hub.load()
    assert hub.alert_rules.get(rule.id).statuses == []
    assert not hub.alert_rules.get(rule.id).enabled


@pytest.mark.parametrize(
    ("since", "phase", "active"),
    [(NOW - 60_000, "pending", NOW - 60_000), (NOW - 120_000, "firing", NOW - 120_000), (NOW + 1, None, 0)],
)
def test_dry_run_has_the_state_of_a_rule_that_was_evaluated_before(
    hub: Hub, since: int, phase: str | None, active: int
) -> None:
    levels(hub, since)
    rule = hub.alert_rules.preview("", LEVEL)
    found = hub.alert_rules.dry_run(rule, Cancellation(60))
    assert [(one.state.phase, one.state.active, one.value) for one in found.alerts] == (
        [(phase, active, 11.0)] if phase else []
    )
    assert all(dict(one.labels)["at"] == "sea" for one in found.alerts)
    assert not found.errors


def test_dry_run_reports_errors_of_the_evaluation(hub: Hub) -> None:
    levels(hub, 0)
    hub.reader.add({"__name__": "level", "x": "lake"}, [(NOW, 11.0)])
    rule = hub.alert_rules.preview("", RuleBody(name="Twice", expression='label_replace(level, "x", "y", "", "")'))
    with pytest.raises(Exception, match="same labelset"):
        hub.alert_rules.dry_run(rule, Cancellation(60))


def test_backtest_has_the_episodes_of_live_evaluation(hub: Hub) -> None:
    """Evaluate a rule at each step, and compare when alerts were active."""
    times = range(0, NOW + 1, STEP)
    pattern = [at // STEP % 23 in {1, 2, 3, 7, 8, 9, 10, 11, 13, 14, 18} for at in times]
    hub.reader.add(
        {"__name__": "level", "x": "sea"}, [(at, 11.0 if on else 0.0) for at, on in zip(times, pattern, strict=True)]
    )
    rule = hub.alert_rules.create(LEVEL, "ann", "")
    hub.load()
    [status] = [one for one in hub.rules.groups() if one.group.name == rule.id]
    live: dict[tuple[float, float | None], float] = {}
    before = RuleState()
    for at in times:
        hub.rules.evaluate(status.group, at)
        [status] = [one for one in hub.rules.groups() if one.group.name == rule.id]
        state = status.rules[0].state
        active = {one.state.active for one in state.alerts.values() if one.state.resolved is None}
        for one in before.alerts.values():
            if one.state.resolved is None and one.state.active not in active:
                live[one.state.active, one.state.fired] = at
        before = state
    found = hub.alert_rules.backtest(rule, 0, NOW, 0, Cancellation(60))
    [(_, episodes)] = found.rules
    assert found.step == STEP
    ended = {(one.active, one.fired): one.ended for one in episodes if one.ended is not None}
    assert ended == live
    assert len([one for one in episodes if one.fired is not None]) > 5
    assert len([one for one in episodes if one.fired is None]) > 5


def test_backtest_without_a_step_has_a_bounded_number_of_evaluations(hub: Hub) -> None:
    rule = hub.alert_rules.preview("", LEVEL)
    found = hub.alert_rules.backtest(rule, NOW - 30 * 86_400_000, NOW, 0, Cancellation(60))
    assert found.step == 9 * STEP
    with pytest.raises(InvalidParameterError, match="more than 10000 evaluations"):
        hub.alert_rules.backtest(rule, NOW - 30 * 86_400_000, NOW, STEP, Cancellation(60))
    with pytest.raises(InvalidParameterError, match="not before the end"):
        hub.alert_rules.backtest(rule, NOW, NOW, STEP, Cancellation(60))


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        (RuleBody(name="A"), "expression", "neither expression nor measure is set"),
        (RuleBody(name="A", expression="sum("), "expression", "expected an expression"),
        (RuleBody(expression="up"), "name", "missing"),
        (RuleBody(measure="cpu_usag", threshold=1.0), "measure", "did you mean cpu_usage"),
        (RuleBody(measure="cpu_usage"), "threshold", "missing"),
        (RuleBody(name="A", expression="up", threshold=1.0), "threshold", "write the condition into the expression"),
        (RuleBody(name="A", expression="up", for_="5"), "for", "invalid duration '5'"),
        (RuleBody(name="A", expression="up", for_="5m", duration="5m"), "for", "for and duration are set"),
        (RuleBody(name="A", expression="up", interval="1ms"), "interval", "outside of 1s to 1h"),
        (RuleBody(name="A", expression="up", labels={"a-b": "c"}), "labels", "invalid name 'a-b'"),
        (RuleBody(name="A", expression="up", annotations={"a": "{{ template }}"}), "annotations", "template"),
        (RuleBody(name="A", expression="up", levels={"info": LevelBody()}), "levels", "only shipped alerts"),
    ],
)
def test_error_names_the_field(hub: Hub, body: RuleBody, field: str, why: str) -> None:
    with pytest.raises(InvalidParameterError, match=why) as raised:
        hub.alert_rules.create(body, "ann", "")
    assert raised.value.parameter == field
    assert hub.changes == [0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (RuleBody(expression="up"), "expression"),
        (RuleBody(levels={"info": LevelBody(1.0)}), "levels.info"),
        (RuleBody(levels={"warning": LevelBody(for_="5")}), "levels.warning.for"),
        (RuleBody(pools={"A": {}}), "pools"),
        (RuleBody(labels={"a-b": ""}), "labels"),
    ],
)
def test_error_in_settings_of_a_shipped_alert_names_the_field(hub: Hub, body: RuleBody, field: str) -> None:
    with pytest.raises(InvalidParameterError) as raised:
        hub.alert_rules.change(CPU, body, 0, "ann", "")
    assert raised.value.parameter == field
