"""The hub evaluates the shipped rules as Prometheus does: the same alerts, states, labels and texts in each case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.evaluation.shipped import defaults
from metricat_hub.model.labels import NAME, from_mapping
from metricat_rules.groups import Scope, alert_group
from metricat_rules.hub import HUB_ALERTS
from metricat_tools.generate import operator_rules
from rules.cases import CASES, HUB_CASES, OPERATOR_CASES, SLOW
from support.hub_rules import HubRules
from support.promtool import only, rules, run, with_input

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from metricat_hub.evaluation.evaluate import Alert
    from support.promtool import Case

COMPARED = 6
"""Evaluations of a case that are compared, the last one among them."""


def seconds(text: str) -> int:
    return int(text.removesuffix("s").removesuffix("m")) * (60 if text.endswith("m") else 1)


def expected(alerts: Sequence[Alert], alert: str, at: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what promtool expects at a time: the firing alerts with their texts, and the states of all alerts."""
    own = [one for one in alerts if dict(one.labels)["alertname"] == alert]
    firing = [
        {
            "exp_labels": {name: value for name, value in one.labels if name != "alertname"},
            "exp_annotations": {name: text for name, text in one.annotations.items() if text},
        }
        for one in own
        if one.state.phase == "firing"
    ]
    states = [
        {"labels": _text({**dict(one.labels), NAME: "ALERTS", "alertstate": one.state.phase}), "value": 1}
        for one in own
    ]
    return (
        {"eval_time": f"{at}s", "alertname": alert, "exp_alerts": firing},
        {"eval_time": f"{at}s", "expr": f'ALERTS{{alertname="{alert}"}}', "exp_samples": states},
    )


def _text(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in from_mapping(labels) if name != NAME)
    return f"{labels[NAME]}{{{inner}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def compared(alert: str, cases: Sequence[Case], file: Mapping[str, Any], times: tuple[int, str], folder: Path) -> str:
    """Return what promtool finds different from the hub's evaluations; the times are of samples and evaluations."""
    sample_seconds, evaluation = times
    interval = seconds(evaluation)
    tests = []
    for case in cases:
        hub = HubRules(file, folder, interval)
        hub.add(case, sample_seconds)
        end = int(case.minutes * 60)
        chosen = {
            end // interval * interval * part // COMPARED // interval * interval for part in range(1, COMPARED + 1)
        }
        test = {**case.test(alert, sample_seconds), "promql_expr_test": [], "alert_rule_test": []}
        for at in range(0, end + 1, interval):
            alerts = hub.evaluate(at)
            if at in chosen:
                firing, states = expected(alerts, alert, at)
                test["alert_rule_test"].append(firing)
                test["promql_expr_test"].append(states)
        assert not hub.errors
        tests.append(test)
    return run(folder, tests, evaluation, file)


def first_cases(cases: Sequence[Case]) -> list[Case]:
    """Return the first case that fires, and the first one that does not."""
    return [
        found for fires in (True, False) if (found := next((one for one in cases if bool(one.fires) == fires), None))
    ]


def of_catalogue(alert: str, cases: Sequence[Case], folder: Path) -> str:
    sample_seconds, evaluation, window_seconds = SLOW.get(alert, (15, "30s", 60))
    file = with_input(only(alert, rules(window_seconds)), cases)
    return compared(alert, cases, file, (sample_seconds, evaluation), folder)


@pytest.mark.parametrize("alert", sorted(CASES.keys() - SLOW.keys()))
def test_alert_of_the_catalogue(alert: str, tmp_path: Path) -> None:
    assert of_catalogue(alert, first_cases(CASES[alert]), tmp_path) == ""


@pytest.mark.slow
@pytest.mark.parametrize("alert", sorted(CASES))
def test_alert_of_the_catalogue_in_every_case(alert: str, tmp_path: Path) -> None:
    assert of_catalogue(alert, CASES[alert], tmp_path) == ""


@pytest.mark.parametrize("alert", sorted(OPERATOR_CASES))
def test_alert_of_the_operator(alert: str, tmp_path: Path) -> None:
    cases = first_cases(OPERATOR_CASES[alert])
    assert compared(alert, cases, {"groups": operator_rules.groups()}, (30, "30s"), tmp_path) == ""


def of_hub() -> dict[str, Any]:
    """Return the alerts about the hub's evaluation as a rule file."""
    settings = {alert.name: defaults(alert) for alert in HUB_ALERTS}
    return {"groups": [alert_group("hub", Scope("local", "machines", "metricat", 60), settings, "", HUB_ALERTS)]}


@pytest.mark.parametrize("alert", sorted(HUB_CASES))
def test_alert_of_the_hub_fires_exactly_in_its_firing_cases(alert: str, tmp_path: Path) -> None:
    cases = HUB_CASES[alert]
    assert {bool(case.fires) for case in cases} == {True, False}
    assert run(tmp_path, [case.test(alert, 30) for case in cases], of=of_hub()) == ""
    assert compared(alert, cases, of_hub(), (30, "30s"), tmp_path) == ""


def test_every_alert_of_the_hub_has_cases() -> None:
    assert HUB_CASES.keys() == {alert.name for alert in HUB_ALERTS}
