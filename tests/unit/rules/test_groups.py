"""Every shipped rule is PromQL, reads one target's series only, and has the target's settings."""

import re

import promql_parser
import pytest

from metricat_operator.api.alerts import AlertRules
from metricat_operator.api.labels import IDENTITY_LABELS, SCRAPE_LABELS
from metricat_rules.anomaly import BASELINE
from metricat_rules.catalogue import CATALOGUE, RECORDINGS
from metricat_rules.groups import Scope, alert_group, baseline_group, number, recording_group, sharded
from metricat_rules.recording import MEASURES

SCOPE = Scope("monitoring", "nodes", "metricat-nodes", 60, {"team": "{{ x }}"})
SETTINGS = AlertRules().by_alert()


def shipped() -> list[dict[str, object]]:
    groups = (recording_group("r", SCOPE), baseline_group("b", SCOPE), alert_group("a", SCOPE, SETTINGS, ""))
    return [rule for group in groups for rule in group["rules"]]


def test_every_expression_is_promql_without_placeholders() -> None:
    rules = shipped()
    assert len(rules) == len(RECORDINGS) + len(BASELINE) + sum(len(alert.levels) for alert in CATALOGUE)
    for rule in rules:
        promql_parser.parse(str(rule["expr"]))
        assert not re.search("<(selector|coverage|namespace|service|threshold|window)>", str(rule))


def test_every_selector_is_restricted_to_the_target() -> None:
    for rule in shipped():
        names = r"(?<![\w:])(?:node|probe|smartmon|metricat(?!_node_pressure)|up)[\w:]*"
        own = re.findall(names + r"\{[^}]*\}", str(rule["expr"]))
        assert all(SCOPE.selector in selector or SCOPE.coverage in selector for selector in own)
        assert own or rule.get("alert") == "MetricatWatchdog"


def test_measures_and_recorded_series_have_unique_names() -> None:
    assert len(MEASURES) == len(set(MEASURES.values())) == 47
    recorded = [recording.name for recording in (*RECORDINGS, *BASELINE)]
    assert len(recorded) == len(set(recorded))
    on_request = {name.split("{")[0] for name in MEASURES.values() if name.startswith("metricat:")}
    assert on_request <= set(recorded)


def test_range_expressions_of_several_rules_are_recorded() -> None:
    """Recording rules evaluate rates, and expressions that two rules need, only once."""
    ranges = [
        found
        for alert in CATALOGUE
        for text in {alert.expr, *(level.expr for level in alert.levels)}
        for found in re.findall(r"(?:rate|increase|deriv|max_over_time|min_over_time)\([^\]]*\]", text)
        if "metricat:" not in found
    ]
    assert len(ranges) == len(set(ranges))


def test_shards_of_a_group_hold_the_same_rules() -> None:
    group = recording_group("r", SCOPE)
    shards = sharded(group, most=7)
    assert [rule for shard in shards for rule in shard["rules"]] == group["rules"]
    assert max(len(shard["rules"]) for shard in shards) == 7
    assert len({shard["name"] for shard in shards}) == len(shards)
    assert sharded(group, most=1000) == [group]


def test_keep_firing_for_equals_for_up_to_an_hour() -> None:
    rules = alert_group("a", SCOPE, SETTINGS, "")["rules"]
    keep_firing = {alert.name for alert in CATALOGUE if alert.keep_firing}
    assert {rule["alert"] for rule in rules if "keep_firing_for" in rule} == keep_firing
    kept = [(rule["for"], rule["keep_firing_for"]) for rule in rules if "keep_firing_for" in rule]
    assert ("2h", "1h") in kept
    assert all(keep == ("1h" if hold == "2h" else hold) for hold, keep in kept)


def test_default_level_has_the_settings_of_the_catalogue() -> None:
    rules = alert_group("a", SCOPE, SETTINGS, "https://r.example.com/x/")["rules"]
    [warning] = [r for r in rules if r["alert"] == "NodeCPUUsageHigh" and r["labels"]["severity"] == "warning"]
    assert warning["expr"].endswith(">= 90")
    assert warning["for"] == "15m"
    assert warning["annotations"]["runbook_url"] == "https://r.example.com/x/NodeCPUUsageHigh"


def test_runbook_url_may_contain_the_name() -> None:
    rules = alert_group("a", SCOPE, SETTINGS, "https://git.example.com/runbooks/{alert}.md")["rules"]
    urls = {rule["annotations"]["runbook_url"] for rule in rules}
    assert "https://git.example.com/runbooks/NodeLoadHigh.md" in urls
    assert not any("{" in url for url in urls)


def test_alert_without_runbook_url_has_an_action() -> None:
    for rule in alert_group("a", SCOPE, SETTINGS, "")["rules"]:
        assert rule["annotations"].keys() == {"summary", "description", "action"}
        assert rule["annotations"]["action"].endswith((".", "?"))


def test_every_alert_has_the_labels_for_routing_and_inhibition() -> None:
    for rule in alert_group("a", SCOPE, SETTINGS, "")["rules"]:
        assert rule["labels"]["namespace"] == "monitoring"
        assert {"severity", "resource"} <= rule["labels"].keys()


def test_alert_labels_are_templates_and_recorded_labels_are_not() -> None:
    assert recording_group("r", SCOPE)["rules"][0]["labels"]["team"] == "{{ x }}"
    assert alert_group("a", SCOPE, SETTINGS, "")["rules"][0]["labels"]["team"] == '{{ "{{" }} x }}'


@pytest.mark.parametrize(("value", "text"), [(80.0, "80"), (0.5, "0.5"), (95, "95")])
def test_whole_numbers_have_no_decimals(value: float, text: str) -> None:
    assert number(value) == text


def test_identity_labels_are_reserved() -> None:
    """If users could set these labels, the recorded series of two disks could be duplicates, which is an error."""
    texts = [str(rule) for rule in shipped()]
    used = {
        label
        for text in texts
        for found in re.findall(r"by \(([\w, ]+)\) ?\(", text)
        for label in re.split(r", *", found)
    }
    used |= {label for text in texts for label in re.findall(r'"(\w+)", "[^"]*", "[^"]*", "[^"]*"\)', text)}
    used |= {label for text in texts for label in re.findall(r"abels\.(\w+)", text)}
    assert {"device", "mode", "direction", "pod_uid"} <= used
    assert used - {"reason"} <= {*SCRAPE_LABELS, *IDENTITY_LABELS}, "reason is the operator's own"


def test_description_has_value_threshold_and_node() -> None:
    for alert, level in ((one, level) for one in CATALOGUE for level in one.levels):
        text = level.description or alert.description
        assert ("<threshold>" in text) == (level.threshold is not None), alert.name
        if level.threshold is not None:
            assert "$value" in text, alert.name
        if alert.per_node and not level.per_target:
            assert {"$labels.node", "$labels.pool"} <= set(re.findall(r"\$labels\.\w+", text)), alert.name


def test_only_the_watchdog_is_not_about_nodes() -> None:
    """This also applies to alerts whose levels have their own expressions."""
    assert [alert.name for alert in CATALOGUE if not alert.per_node] == ["MetricatWatchdog"]
