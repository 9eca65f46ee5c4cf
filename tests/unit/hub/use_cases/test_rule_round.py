"""The samples of a round of rules: later rules read them, and the store gets them at the end."""

from pathlib import Path

import pytest
import yaml

from metricat_agent.config.yaml_text import read_file
from metricat_hub.evaluation import rule_file
from metricat_hub.model.ports import Hints, Matcher
from metricat_hub.promql.limits import Limits
from metricat_hub.store.alert_states import AlertStates
from metricat_hub.store.embedded import EmbeddedStore, Settings
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.rules import Rules
from support.hub_store import BEGIN, SECOND, Clock, labels, named, open_store, points, read, write

STEP = 30 * SECOND
INTERNAL = "internal error of the hub; see its log for the details, and report the error"
REJECTED = (
    "the store rejected 1 of 1 samples of the rule; check --store.max-series, and whether another rule stores the same "
    "series"
)


def loaded(
    folder: Path, rules: list[dict[str, str]], settings: Settings | None = None
) -> tuple[Rules, Clock, EmbeddedStore]:
    clock = Clock()
    store = open_store(folder, clock, settings)
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": rules}]}))
    found = Rules(Queries(store, Limits()), store, AlertStates(folder))
    found.load(rule_file.parse(read_file(str(path)), str(path), STEP), clock.now)
    return found, clock, store


def evaluate(rules: Rules, now: int) -> list[str]:
    [status] = rules.groups()
    rules.evaluate(status.group, now)
    return [rule.error for rule in rules.groups()[0].rules]


def test_later_rules_read_the_samples_of_earlier_ones(tmp_path: Path) -> None:
    rules, clock, store = loaded(
        tmp_path,
        [
            {"record": "double", "expr": "2 * load"},
            {"record": "triple", "expr": 'double{node="a"} * 1.5'},
            {"record": "total", "expr": 'sum({__name__=~"double|triple"})'},
            {"record": "seen", "expr": "count_over_time(double[1m])"},
        ],
    )
    for at in range(3):
        clock.now = BEGIN + at * STEP
        write(store, {labels("load", node=node): [(clock.now - 1, at + 1.0)] for node in "ab"})
        assert evaluate(rules, clock.now) == [""] * 4
        assert points(store.select(named("double"), clock.now, clock.now, Hints()).series[0]) == [
            (clock.now, 2 * (at + 1.0))
        ]
        assert list(read(store, named("triple"), clock.now).values()) == [[(clock.now, 3 * (at + 1.0))]]
        assert list(read(store, named("total"), clock.now).values()) == [[(clock.now, 7 * (at + 1.0))]]
        assert list(read(store, named("seen"), clock.now).values()) == [[(clock.now, min(2.0, at + 1.0))]] * 2


def test_a_series_that_ends_is_gone_for_later_rules_at_once(tmp_path: Path) -> None:
    rules, clock, store = loaded(
        tmp_path, [{"record": "high", "expr": "load > 5"}, {"record": "highs", "expr": "count(high) or vector(0)"}]
    )
    for at, (value, expected) in enumerate([(9.0, 1.0), (1.0, 0.0)]):
        clock.now = BEGIN + at * STEP
        write(store, {labels("load"): [(clock.now, value)]})
        assert evaluate(rules, clock.now) == ["", ""]
        assert list(read(store, named("highs"), clock.now).values()) == [[(clock.now, expected)]]


def test_rules_that_store_other_values_of_a_series_fail(tmp_path: Path) -> None:
    rules, clock, _ = loaded(
        tmp_path,
        [
            {"record": "same", "expr": "vector(1)"},
            {"record": "same", "expr": "vector(2)"},
            {"record": "x", "expr": "1"},
        ],
    )
    assert evaluate(rules, clock.now) == ["", REJECTED, ""]
    assert rules.counts.failures == rules.counts.rejected_samples == 1
    assert rules.counts.evaluations == 3


def test_series_above_the_limit_of_the_store_fail_their_rule_only(tmp_path: Path) -> None:
    rules, clock, _ = loaded(
        tmp_path,
        [{"record": "first", "expr": "vector(1)"}, {"record": "second", "expr": "vector(2)"}],
        Settings(series_limit=1),
    )
    assert evaluate(rules, clock.now) == ["", REJECTED]


def test_internal_error_fails_the_rule_until_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rules, clock, store = loaded(
        tmp_path, [{"alert": "High", "expr": "load > 1"}, {"record": "one", "expr": "vector(1)"}]
    )
    write(store, {labels("load"): [(clock.now, 2.0)]})
    assert evaluate(rules, clock.now) == ["", ""]

    def fail(*_: object, **__: object) -> None:
        raise IndexError("index 0 is out of bounds")

    with monkeypatch.context() as broken:
        for name in ("select", "select_many"):
            broken.setattr(EmbeddedStore, name, fail)
        for _ in range(2):
            clock.now += STEP
            assert evaluate(rules, clock.now) == [INTERNAL, ""]
    assert [alert.state.phase for alert in rules.alerts()] == ["firing"]
    assert rules.counts.failures == 2
    assert sum("High" in one.getMessage() and bool(one.exc_info) for one in caplog.records) == 1
    assert evaluate(rules, clock.now + STEP) == ["", ""]


@pytest.mark.parametrize("operator", ["=", "=~", "!="])
def test_matchers_choose_among_the_samples_of_the_round(tmp_path: Path, operator: str) -> None:
    rules, clock, store = loaded(
        tmp_path,
        [
            {"record": "double", "expr": "2 * load"},
            {"record": "chosen", "expr": f'double{{node{operator}"a"}}'},
        ],
    )
    write(store, {labels("load", node=node): [(clock.now, 1.0)] for node in "ab"})
    assert evaluate(rules, clock.now) == ["", ""]
    chosen = [dict(one)["node"] for one in read(store, [*named("chosen"), Matcher("job", "=", "")])]
    assert chosen == (["b"] if operator == "!=" else ["a"])


def test_time_of_an_evaluation_is_stored_only_for_a_change_and_for_pending_alerts(tmp_path: Path) -> None:
    rules, clock, store = loaded(
        tmp_path, [{"record": "double", "expr": "2 * load"}, {"alert": "High", "expr": "load > 5", "for": "1m"}]
    )
    stored = []
    for at, load in enumerate([1.0, 1.0, 9.0, 9.0, 9.0, 9.0]):
        clock.now = BEGIN + at * STEP
        write(store, {labels("load"): [(clock.now, load)]})
        assert evaluate(rules, clock.now) == ["", ""]
        [last] = {evaluated for evaluated, _ in AlertStates(tmp_path).load().values()}
        stored.append((last - BEGIN) // STEP)
    assert [one.state.phase for one in rules.alerts()] == ["firing"]
    assert stored == [0, 0, 2, 3, 4, 4]
