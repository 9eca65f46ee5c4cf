"""Every generated valid spec gives valid manifests."""

import json
import re
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings

from metricat_operator import naming
from metricat_operator.api.parse import parse
from metricat_operator.manifests import Context, build_children
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.groups import number
from support.specs import specs

LEVELS = [(alert, level) for alert in CATALOGUE for level in alert.levels]


def built(spec: dict[str, Any]) -> str:
    parsed = parse(spec)
    assert parsed.spec is not None
    return json.dumps(build_children(Context("nodes", "monitoring", "uid", parsed.spec, "image")))


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(spec=specs())
def test_the_same_valid_spec_gives_the_same_bytes(spec: dict[str, Any]) -> None:
    first = built(spec)
    assert first == built(json.loads(json.dumps(spec)))
    assert len({(one["kind"], one["metadata"]["name"]) for one in json.loads(first)}) == len(json.loads(first))


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(spec=specs())
def test_each_pool_has_one_rule_for_each_level_with_its_settings(spec: dict[str, Any]) -> None:
    parsed = parse(spec)
    assert parsed.spec is not None
    on_request: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in json.loads(built(spec)):
        if one["kind"] == "PrometheusRule" and one["metadata"]["name"] != naming.extra_rules("nodes"):
            for rule in (rule for group in one["spec"]["groups"] for rule in group["rules"] if "alert" in rule):
                named = re.search(r'pool=~?"([^"]*)"', rule["expr"])
                for pool in named[1].split("|") if named else [pool.name for pool in parsed.pools]:
                    on_request.setdefault((rule["alert"], rule["labels"]["severity"], pool), []).append(rule)
    expected = set()
    for pool in parsed.pools if parsed.spec.alerts.enabled else ():
        by_alert = pool.rules.by_alert()
        for alert, level in LEVELS:
            setting = by_alert[alert.name].levels[level.severity]
            if setting.enabled:
                expected.add(key := (alert.name, level.severity, pool.name))
                [rule] = on_request[key]
                assert rule["for"] == setting.duration
                own = by_alert[alert.name].labels
                assert own.keys() <= rule["labels"].keys()
                if setting.threshold is not None:
                    assert number(setting.threshold) in rule["expr"]
    assert on_request.keys() == expected


def test_rules_of_the_maximum_number_of_pools_fit_the_prometheus_operator() -> None:
    """The Prometheus Operator rejects a PrometheusRule of more than 512 KiB."""
    pools = [
        {
            "name": f"pool-{number}",
            "nodeSelector": {"matchLabels": {"pool": str(number)}},
            "agent": {"extraLabels": {"team": str(number)}},
            "alerts": {
                "rules": {
                    alert.name: {level.severity: {"for": f"{10 + number}m"} for level in alert.levels}
                    for alert in CATALOGUE
                }
            },
        }
        for number in range(16)
    ]
    rules = [one for one in json.loads(built({"pools": pools})) if one["kind"] == "PrometheusRule"]
    assert all(len(yaml.safe_dump(one["spec"], width=10**6)) < 480 << 10 for one in rules)
    assert [one["metadata"]["name"] for one in rules] == [naming.rules("nodes", part) for part in range(len(rules))]
    groups = [group["name"] for one in rules for group in one["spec"]["groups"]]
    assert len(groups) == len(set(groups))
    assert sum(name.endswith("baseline") for name in groups) == 17


def test_an_empty_spec_gives_one_prometheus_rule() -> None:
    assert [one["metadata"]["name"] for one in json.loads(built({})) if one["kind"] == "PrometheusRule"] == [
        "metricat-nodes"
    ]
