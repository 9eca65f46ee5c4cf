"""Every rule that is shipped is PromQL, about one target's series only, and set as the target says."""

import promql_parser
import pytest

from metricat_operator.alerts.catalogue import CATALOGUE
from metricat_operator.alerts.recording import RECORDINGS
from metricat_operator.alerts.rules import Scope, alert_group, number, recording_group
from metricat_operator.api.v1alpha1 import AlertRules

SCOPE = Scope("monitoring", "metricat-nodes", 60, {"team": "{{ x }}"})
SETTINGS = AlertRules().model_dump(by_alias=True)


def test_every_expression_is_promql_with_nothing_left_to_fill_in() -> None:
    rules = [*recording_group("r", SCOPE)["rules"], *alert_group("a", SCOPE, SETTINGS, "")["rules"]]
    assert len(rules) == len(RECORDINGS) + sum(len(alert.levels) for alert in CATALOGUE)
    for rule in rules:
        promql_parser.parse(rule["expr"])
        assert "<" not in rule["expr"]
        assert "<threshold>" not in str(rule)


def test_a_default_level_fires_as_the_catalogue_says() -> None:
    rules = alert_group("a", SCOPE, SETTINGS, "https://r.example.com/x/")["rules"]
    [warning] = [r for r in rules if r["alert"] == "NodeCPUUsageHigh" and r["labels"]["severity"] == "warning"]
    assert warning["expr"].endswith(">= 80")
    assert warning["for"] == "5m"
    assert warning["annotations"]["runbook_url"] == "https://r.example.com/x/NodeCPUUsageHigh"


def test_every_alert_carries_what_alertmanager_routes_and_inhibits_by() -> None:
    for rule in alert_group("a", SCOPE, SETTINGS, "")["rules"]:
        assert rule["labels"]["namespace"] == "monitoring"
        assert {"severity", "resource"} <= rule["labels"].keys()


def test_alert_labels_are_templates_and_recorded_labels_are_not() -> None:
    assert recording_group("r", SCOPE)["rules"][0]["labels"]["team"] == "{{ x }}"
    assert alert_group("a", SCOPE, SETTINGS, "")["rules"][0]["labels"]["team"] == '{{ "{{" }} x }}'


@pytest.mark.parametrize(("value", "text"), [(80.0, "80"), (0.5, "0.5"), (95, "95")])
def test_numbers_as_people_write_them(value: float, text: str) -> None:
    assert number(value) == text
