"""Lint of the rules without running them: conditions, regular expressions, names, types and labels of series.

The agent's declarations list the series. tests/rules checks with promtool that the rules are PromQL and work.
"""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.exposition.model import Family
from metricat_agent.scrape.registry import FAMILIES
from metricat_operator.api.alerts import AlertRules
from metricat_rules.groups import Scope, alert_group, baseline_group, recording_group
from metricat_tools.generate import operator_rules

SCOPE = Scope("monitoring", "nodes", "metricat-nodes", 60, {"team": "a"}, ("default", "gpu"))
GROUPS = (
    recording_group("r", SCOPE),
    baseline_group("b", SCOPE),
    alert_group("a", SCOPE, AlertRules().by_alert(), "https://r.example"),
    *operator_rules.groups(),
)
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = [rule for rule in RULES if "alert" in rule and rule["alert"] != "MetricatWatchdog"]
DECLARED: dict[str, Family] = {
    family.name: family
    for families in (FAMILIES, *(one.families for one in COLLECTORS.values()))
    for family in families
}
PLACE = {"namespace", "service", "node", "pool", "instance", "job", "pod", "endpoint", "container"}
"""Labels that a series has from its scrape."""
THERE_OR_NOT = {"metricat_node_uncovered"}
"""Series that exist only while something is wrong."""
OF_COUNTERS = {"rate", "irate", "increase", "resets"}
OF_GAUGES = {"deriv", "delta", "idelta", "predict_linear"}
COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}


def name(rule: dict[str, Any]) -> str:
    return rule.get("record") or f"{rule['alert']}-{rule['labels']['severity']}"


def parts(node: Any) -> Iterator[Any]:
    """Yield the expression and all expressions inside it."""
    yield node
    inner = [getattr(node, field, None) for field in ("lhs", "rhs", "expr", "param", "vector_selector")]
    for part in (*inner, *getattr(node, "args", ())):
        if part is not None:
            yield from parts(part)


def selectors(expr: str) -> list[Any]:
    return [one for one in parts(promql_parser.parse(expr)) if isinstance(one, promql_parser.VectorSelector)]


def metric(selector: Any) -> str:
    return str(selector.name)


def conditional(node: Any) -> bool:
    """Return whether the expression may have no result. An alert that always has a result always fires."""
    match node:
        case promql_parser.BinaryExpr():
            left, right = conditional(node.lhs), conditional(node.rhs)
            filters = not (node.modifier and node.modifier.return_bool)
            answers = {"or": left and right, "unless": left} | dict.fromkeys(COMPARISONS, filters)
            return answers.get(str(node.op), left or right)
        case promql_parser.VectorSelector():
            return metric(node) in THERE_OR_NOT
        case promql_parser.Call():
            return node.func.name == "absent" or any(map(conditional, node.args))
    return hasattr(node, "expr") and conditional(node.expr)


@pytest.mark.parametrize("rule", ALERTS, ids=name)
def test_alert_has_a_condition(rule: dict[str, Any]) -> None:
    assert conditional(promql_parser.parse(rule["expr"]))


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("a", False),
        ("vector(1)", False),
        ("a or b > 1", False),
        ("a unless b > 1", False),
        ("a > bool 1", False),
        ("a and b > 1", True),
        ("max by (x) (a > 1)", True),
        ("absent(a)", True),
    ],
)
def test_condition_is_recognised(expr: str, expected: bool) -> None:  # noqa: FBT001 -- the table's column
    assert conditional(promql_parser.parse(expr)) is expected


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_regular_expressions_are_needed_and_have_no_anchors(rule: dict[str, Any]) -> None:
    for selector in selectors(rule["expr"]):
        for matcher in selector.matchers.matchers:
            if str(matcher.op) in {"MatchOp.Re", "MatchOp.NotRe"}:
                assert re.search(r"[|*+?\[(]", matcher.value), matcher.value
                assert not re.match(r"\^|.*\$$", matcher.value), matcher.value


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_rate_reads_a_counter_and_deriv_a_gauge(rule: dict[str, Any]) -> None:
    for call in parts(promql_parser.parse(rule["expr"])):
        if not isinstance(call, promql_parser.Call) or call.func.name not in OF_COUNTERS | OF_GAUGES:
            continue
        read = [metric(part) for argument in call.args for part in parts(argument) if hasattr(part, "matchers")]
        assert len(read) == 1
        kind = DECLARED[read[0]].kind if read[0] in DECLARED else "counter" if read[0].endswith("_total") else "gauge"
        assert kind in {"untyped", "counter" if call.func.name in OF_COUNTERS else "gauge"}, read


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_selectors_use_labels_of_the_series(rule: dict[str, Any]) -> None:
    for selector in selectors(rule["expr"]):
        if family := DECLARED.get(metric(selector)):
            required = {matcher.name for matcher in selector.matchers.matchers}
            assert required <= PLACE | set(family.labels), metric(selector)


def test_names_of_rules_are_unique_and_well_formed() -> None:
    records = [rule["record"] for rule in RULES if "record" in rule]
    assert len(records) == len(set(records))
    assert all(re.fullmatch(r"metricat:[a-z0-9_]+:[a-z0-9_]+", record) for record in records)
    alerts = [name(rule) for rule in ALERTS]
    assert len(alerts) == len(set(alerts))


@pytest.mark.parametrize("rule", ALERTS, ids=name)
def test_alert_has_well_formed_texts(rule: dict[str, Any]) -> None:
    texts = rule["annotations"]
    assert texts["summary"]
    assert texts["description"].endswith((".", "{{ end }}"))
    assert "\n" not in texts["summary"] + texts["description"]
