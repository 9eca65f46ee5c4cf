"""Each alert fires in its firing cases and not in its other cases, for each condition of its expression (promtool)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from metricat_rules.catalogue import CATALOGUE
from metricat_rules.operator import OPERATOR_ALERTS
from metricat_tools.generate import golden, operator_rules
from rules.cases import CASES, OPERATOR_CASES, SLOW, samples
from support.paths import GOLDEN
from support.promtool import Case, only, promtool, rate, rules, run, steady, with_input

if TYPE_CHECKING:
    from pathlib import Path

ABOUT_NODES = {"NodeAgentDown", "NodeCordoned", "NodeNew", "NodePressureEviction", "NodeUnhealthy"}
"""Alerts whose cases already have series of several nodes."""


@pytest.mark.parametrize("alert", sorted(CASES))
def test_alert_fires_exactly_in_its_firing_cases(alert: str, tmp_path: Path) -> None:
    sample_seconds, evaluation, window_seconds = SLOW.get(alert, (15, "30s", 60))
    tests = [case.test(alert, sample_seconds) for case in CASES[alert]]
    file = with_input(only(alert, rules(window_seconds)), CASES[alert])
    assert run(tmp_path, tests, evaluation, file) == ""


def test_every_level_has_a_firing_case_and_a_case_that_does_not_fire() -> None:
    assert CASES.keys() == {alert.name for alert in CATALOGUE}
    for alert in CATALOGUE:
        fired = frozenset[str]().union(*(case.fires for case in CASES[alert.name]))
        assert fired == {level.severity for level in alert.levels}, alert.name
        quiet_case = any(not case.fires for case in CASES[alert.name])
        assert quiet_case or alert.name == "MetricatWatchdog", alert.name


@pytest.mark.parametrize("alert", sorted(OPERATOR_CASES))
def test_operator_alert_fires_exactly_in_its_firing_cases(alert: str, tmp_path: Path) -> None:
    tests = [case.test(alert, 30) for case in OPERATOR_CASES[alert]]
    assert run(tmp_path, tests, of={"groups": operator_rules.groups()}) == ""


def test_not_monitored_alert_reaches_the_receivers_of_the_target(tmp_path: Path) -> None:
    case = Case("routed", 16, frozenset(), samples.monitored("False")).test("MetricatNotMonitored", 30)
    case["promql_expr_test"] = [
        {
            "expr": 'count by (namespace, service) (ALERTS{alertname="MetricatNotMonitored",alertstate="firing"})',
            "eval_time": "16m",
            "exp_samples": [{"labels": '{namespace="monitoring",service="metricat-nodes"}', "value": 1}],
        }
    ]
    assert run(tmp_path, [case], of={"groups": operator_rules.groups()}) == ""


def test_every_operator_alert_has_a_firing_case_and_a_case_that_does_not_fire() -> None:
    assert OPERATOR_CASES.keys() == {alert.name for alert in OPERATOR_ALERTS}
    for cases in OPERATOR_CASES.values():
        assert {bool(case.fires) for case in cases} == {True, False}


def test_wrong_expectation_fails(tmp_path: Path) -> None:
    wrong = Case("idle", 10, frozenset({"warning"}), {"node_load1": steady(0)})
    assert "idle" in run(tmp_path, [wrong.test("NodeLoadHigh", 15)])


def test_only_rules_that_can_have_a_result_are_evaluated() -> None:
    records = {
        "of_a": "sum(a)",
        "of_of_a": "max(of_a)",
        "of_b": "sum(b)",
        "of_none": "absent(b)",
        "two": "b or of_none",
    }
    file = {"groups": [{"rules": [*({"record": k, "expr": v} for k, v in records.items()), {"alert": "X"}]}]}
    kept = with_input(file, [Case("a only", 1, frozenset(), {'a{node="n1"}': steady(1)})])
    assert [rule.get("record") for rule in kept["groups"][0]["rules"]] == ["of_a", "of_of_a", "of_none", "two", None]


def test_promtool_accepts_every_rule_without_duplicates(tmp_path: Path) -> None:
    """The golden targets have each feature of the spec once."""
    files = {"operator": {"groups": operator_rules.groups()}}
    for case in sorted(GOLDEN.glob("*/manifests.yaml")):
        for manifest in yaml.safe_load_all(case.read_text()):
            if manifest["kind"] == "PrometheusRule":
                files[f"{case.parent.name}-{manifest['metadata']['name']}"] = manifest["spec"]
    for name, file in files.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(file))
    command: list[str | Path] = [
        promtool(),
        "check",
        "rules",
        "--lint=all",
        "--lint-fatal",
        *(f"{name}.yaml" for name in files),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(files) > 5


def test_settings_change_threshold_and_duration(tmp_path: Path) -> None:
    settings = {"NodeLoadHigh": {"warning": {"threshold": 0.5, "for": "1m"}}}
    series = {"node_load1": steady(1.2), 'node_cpu_seconds_total{cpu="0",mode="idle"}': rate(1)}
    moved = Case("moved", 2, frozenset({"warning"}), series)
    assert run(tmp_path, [moved.test("NodeLoadHigh", 15)], of=rules(settings=settings)) == ""


@pytest.mark.parametrize("alert", ["NodeCordoned", "NodeNew"])
def test_cordoned_or_new_node_counts_as_down_if_that_alert_is_disabled(tmp_path: Path, alert: str) -> None:
    settings = {alert: {"info": {"enabled": False}}}
    states = {"NodeCordoned": samples.cordoned("n1"), "NodeNew": {'kube_node_created{node="n1"}': steady(0)}}
    series = {**samples.agents(1, 3), **states[alert]}
    fires = Case(f"{alert} is off", 10, samples.BOTH, series).test("NodeAgentDown", 30)
    assert run(tmp_path, [fires], of=only("NodeAgentDown", rules(settings=settings))) == ""


def test_critical_inhibits_only_alerts_of_its_own_resource(tmp_path: Path) -> None:
    """A critical alert inhibits only warnings and infos about the same resource of the same node."""
    series = {**samples.filesystem("/data", 92), **samples.filesystem("/srv", 85, device="/dev/sdc")}
    case = Case("two", 40, frozenset(), series).test("NodeFilesystemUsageHigh", 60)
    expected = [("critical", "/data"), ("warning", "/data"), ("warning", "/srv")]
    case["promql_expr_test"] = [
        {
            "expr": 'count by (severity, resource) (ALERTS{alertname="NodeFilesystemUsageHigh",alertstate="firing"})',
            "eval_time": "40m",
            "exp_samples": [
                {"labels": f'{{severity="{severity}",resource="filesystem {mount}"}}', "value": 1}
                for severity, mount in expected
            ],
        }
    ]
    assert run(tmp_path, [case], "1m", rules(240)) == ""


POOLS = """
metadata: {name: nodes, namespace: monitoring}
spec:
  pools:
    - name: gpu
      nodeSelector: {matchLabels: {gpu: "yes"}}
      alerts: {rules: {NodeCPUUsageHigh: {warning: {threshold: 95}}, NodeOOMKill: {info: {enabled: false}}}}
"""


def of_node(series: samples.Series, node: str, pool: str) -> samples.Series:
    return {
        f'{name.rstrip("}")}{"," if "{" in name else "{"}node="{node}",pool="{pool}"}}': values
        for name, values in series.items()
    }


@pytest.mark.parametrize(
    ("alert", "one", "minutes", "severity"),
    [
        ("NodeCPUUsageHigh", samples.cpu(92), 18, "warning"),
        ("NodeOOMKill", {**samples.memory(50), **samples.kills(10)}, 12, "info"),
    ],
)
def test_pool_settings_apply_without_duplicate_alerts(
    tmp_path: Path, alert: str, one: samples.Series, minutes: int, severity: str
) -> None:
    [rule] = [child for child in golden.manifests(yaml.safe_load(POOLS)) if child["kind"] == "PrometheusRule"]
    series = {**of_node(one, "n1", "default"), **of_node(one, "n2", "gpu")}
    case = Case("pools", minutes, frozenset(), series).test(alert, 15)
    case["promql_expr_test"] = [
        {
            "expr": f'count by (node, severity) (ALERTS{{alertname="{alert}",alertstate="firing"}})',
            "eval_time": f"{minutes}m",
            "exp_samples": [{"labels": f'{{node="n1",severity="{severity}"}}', "value": 1}],
        }
    ]
    assert run(tmp_path, [case], of=rule["spec"]) == ""


def of_both(alert: str) -> tuple[Case, samples.Series]:
    """Return a firing case of the alert, with its series for two nodes of different pools."""
    case = next(case for case in CASES[alert] if case.fires and not any("node=" in name for name in case.series))
    return case, {**of_node(case.series, "n1", "default"), **of_node(case.series, "n2", "gpu")}


@pytest.mark.parametrize("alert", sorted({alert.name for alert in CATALOGUE if alert.per_node} - ABOUT_NODES))
def test_pool_can_set_each_alert(tmp_path: Path, alert: str) -> None:
    """If an alert is disabled for one pool, it still fires for the node of the other pool."""
    case, series = of_both(alert)
    off = {level.severity: {"enabled": False} for one in CATALOGUE if one.name == alert for level in one.levels}
    pool = {"name": "gpu", "nodeSelector": {"matchLabels": {"gpu": "yes"}}, "alerts": {"rules": {alert: off}}}
    sample_seconds, evaluation, window_seconds = SLOW.get(alert, (15, "30s", 60))
    spec = {"pools": [pool], "monitor": {"interval": f"{window_seconds // 4}s"}}
    made = golden.manifests({"metadata": {"name": "nodes", "namespace": "monitoring"}, "spec": spec})
    [rule] = [child for child in made if child["kind"] == "PrometheusRule"]
    test = Case("pools", case.minutes, frozenset(), series).test(alert, sample_seconds)
    test["promql_expr_test"] = [
        {
            "expr": f'count by (node, severity) (ALERTS{{alertname="{alert}",alertstate="firing"}})',
            "eval_time": f"{case.minutes}m",
            "exp_samples": [
                {"labels": f'{{node="n1",severity="{severity}"}}', "value": 1} for severity in sorted(case.fires)
            ],
        }
    ]
    assert run(tmp_path, [test], evaluation, with_input(only(alert, rule["spec"]), [case])) == ""


LABELLED = """
metadata: {name: nodes, namespace: monitoring}
spec:
  agent: {extraLabels: {team: all}}
  pools:
    - name: gpu
      nodeSelector: {matchLabels: {gpu: "yes"}}
      alerts: {rules: {NodeOOMKill: {labels: {team: ml, ticket: "{{ 1 }}"}}}}
  alerts: {rules: {NodeOOMKill: {labels: {team: kernel, page: "no"}}}}
"""


def test_pool_labels_override_alert_labels(tmp_path: Path) -> None:
    [rule] = [child for child in golden.manifests(yaml.safe_load(LABELLED)) if child["kind"] == "PrometheusRule"]
    one = {**samples.memory(50), **samples.kills(10)}
    series = {**of_node(one, "n1", "default"), **of_node(one, "n2", "gpu")}
    case = Case("labels", 12, frozenset(), series).test("NodeOOMKill", 15)
    case["promql_expr_test"] = [
        {
            "expr": 'count by (node, team, page, ticket) (ALERTS{alertname="NodeOOMKill",alertstate="firing"})',
            "eval_time": "12m",
            "exp_samples": [
                {"labels": '{node="n1",team="kernel",page="no"}', "value": 1},
                {"labels": '{node="n2",team="ml",page="no",ticket="{{ 1 }}"}', "value": 1},
            ],
        }
    ]
    assert run(tmp_path, [case], of=rule["spec"]) == ""


TEAMS = """
metadata: {name: nodes, namespace: monitoring}
spec:
  agent: {extraLabels: {environment: prod}}
  pools:
    - name: gpu
      nodeSelector: {matchLabels: {gpu: "yes"}}
      agent: {extraLabels: {team: ml}}
    - name: spot
      nodeSelector: {matchLabels: {spot: "yes"}}
      agent: {extraLabels: {team: batch}}
      alerts: {rules: {NodeAgentDown: {critical: {enabled: false}}}}
"""


@pytest.mark.parametrize(
    ("down", "critical"), [({"gpu": 1}, False), ({"gpu": 1, "default": 2}, True), ({"spot": 5}, False)]
)
def test_share_of_down_agents_counts_all_pools(
    tmp_path: Path,
    down: dict[str, int],
    critical: bool,  # noqa: FBT001 (a table)
) -> None:
    """The only node of a pool with its own labels is not all nodes. A pool without the alert is not counted."""
    [rule] = [child for child in golden.manifests(yaml.safe_load(TEAMS)) if child["kind"] == "PrometheusRule"]
    series = {
        f'up{{node="{pool}-{number}",pool="{pool}"}}': steady(0 if number < down.get(pool, 0) else 1)
        for pool, nodes in (("gpu", 1), ("default", 19), ("spot", 5))
        for number in range(nodes)
    }
    case = Case("fleet", 10, frozenset(), series).test("NodeAgentDown", 30)
    expected = [{"labels": '{environment="prod"}', "value": 1}] if critical else []
    case["promql_expr_test"] = [
        {
            "expr": "count by (environment, team) "
            '(ALERTS{alertname="NodeAgentDown",severity="critical",alertstate="firing"})',
            "eval_time": "10m",
            "exp_samples": expected,
        }
    ]
    assert run(tmp_path, [case], of=only("NodeAgentDown", rule["spec"])) == ""


def annotated(
    series: samples.Series, minutes: int, alert: str, resource: str, texts: dict[str, str]
) -> dict[str, object]:
    case = Case(alert, minutes, frozenset(), series).test(alert, 15)
    del case["promql_expr_test"]
    labels = {
        "namespace": "monitoring",
        "service": "metricat-nodes",
        "node": "n1",
        "pool": "default",
        "team": "a",
        "resource": resource,
        "severity": "warning",
    }
    [shipped] = [one for one in CATALOGUE if one.name == alert]
    annotations = {**texts, "action": shipped.action, "runbook_url": f"https://r.example/{alert}"}
    case["alert_rule_test"] = [
        {
            "eval_time": f"{minutes}m",
            "alertname": alert,
            "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}],
        }
    ]
    return case


PROCESSES: samples.Series = {
    'metricat_process_cpu_ratio{pid="7",name="sh",pod_uid="",container_id=""}': steady(0.25),
    'metricat_process_cpu_ratio{pid="8",name="burn",pod_uid="u-1",container_id="c"}': steady(1.5),
    'metricat_process_cpu_ratio{pid="9",name="java",pod_uid="u-2",container_id="d"}': steady(0.5),
    'metricat_process_cpu_ratio{pid="10",name="idle",pod_uid="",container_id=""}': steady(0.01),
    'metricat_process_cpu_ratio{node="n2",pid="8",name="elsewhere",pod_uid="",container_id=""}': steady(9),
    'metricat_process_resident_memory_bytes{pid="9",name="java",pod_uid="u-2",container_id="d"}': steady(3 * 2**30),
    'kube_pod_info{uid="u-1",namespace="team-a",pod="burner-0"}': steady(1),
}


def test_cpu_and_memory_name_the_processes_with_their_pods(tmp_path: Path) -> None:
    cpu = annotated(
        {**samples.cpu(92), **PROCESSES},
        20,
        "NodeCPUUsageHigh",
        "cpu",
        {
            "summary": "CPU usage on n1 is high",
            "description": "CPU usage on n1 (pool default) is 92.0 % (threshold 90 %). Top processes: "
            "burn (pid 8, pod team-a/burner-0) 1.50 CPUs; java (pid 9, pod u-2) 0.50 CPUs; sh (pid 7) 0.25 CPUs.",
        },
    )
    memory = annotated(
        {**samples.memory(90), **PROCESSES},
        10,
        "NodeMemoryUsageHigh",
        "memory",
        {
            "summary": "Memory usage on n1 is high",
            "description": "Memory usage on n1 (pool default) is 90.0 % (threshold 85 %). Top processes: "
            "java (pid 9, pod u-2) 3GiB.",
        },
    )
    assert run(tmp_path, [cpu, memory]) == ""


def test_description_is_valid_without_processes(tmp_path: Path) -> None:
    texts = {
        "summary": "CPU usage on n1 is high",
        "description": "CPU usage on n1 (pool default) is 92.0 % (threshold 90 %).",
    }
    assert run(tmp_path, [annotated(samples.cpu(92), 20, "NodeCPUUsageHigh", "cpu", texts)]) == ""


FULL = "1970-01-02 03:12:00 +0000 UTC."


@pytest.mark.parametrize(
    ("alert", "severity", "resource", "description"),
    [
        (
            "NodeFilesystemFillsUp",
            "critical",
            "filesystem growth /data",
            "At the current growth rate {place} is full in 19.2 hours (threshold 24 hours). That is",
        ),
        (
            "NodeFilesystemUsageHigh",
            "warning",
            "filesystem /data",
            (
                "{place} is 88.0 % full (threshold 80 %). At the growth rate of the last 6 hours, the remainder lasts "
                "until"
            ),
        ),
        (
            "NodeInodeUsageHigh",
            "warning",
            "inodes /data",
            (
                "{place} uses 88.0 % of its inodes (threshold 80 %). At the growth rate of the last 6 hours, the "
                "remainder lasts until"
            ),
        ),
    ],
    ids=["forecast", "space", "inodes"],
)
def test_forecast_has_the_date(tmp_path: Path, alert: str, severity: str, resource: str, description: str) -> None:
    """The usage is 88 % after 8 hours and grows by 15 % a day, so the filesystem is full 19.2 hours later."""
    growth = samples.growth(83, 15)
    case = Case("date", 8 * 60, frozenset(), {**samples.filesystem("/data", growth), **samples.inodes(growth)})
    test = case.test(alert, 120)
    labels = {
        "namespace": "monitoring",
        "service": "metricat-nodes",
        "node": "n1",
        "pool": "default",
        "team": "a",
        "device": "/dev/sdb",
        "mountpoint": "/data",
        "fstype": "ext4",
        "resource": resource,
        "severity": severity,
    }
    [shipped] = [one for one in CATALOGUE if one.name == alert]
    summary, action = (
        text.replace("{{ $labels.mountpoint }}", "/data").replace("{{ $labels.node }}", "n1")
        for text in (shipped.summary, shipped.action)
    )
    annotations = {
        "summary": summary,
        "description": f"{description.format(place='/data (/dev/sdb) on n1 (pool default)')} {FULL}",
        "action": action,
        "runbook_url": f"https://r.example/{alert}",
    }
    del test["promql_expr_test"]
    expected = [{"exp_labels": labels, "exp_annotations": annotations}]
    test["alert_rule_test"] = [{"eval_time": "8h", "alertname": alert, "exp_alerts": expected}]
    assert run(tmp_path, [test], "4m", rules(480)) == ""
