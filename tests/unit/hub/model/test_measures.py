"""The measures: one for each of the operator's, with valid PromQL for any selector."""

from __future__ import annotations

import pytest

from metricat_hub.model.measures import BY_NAME, EXPRESSIONS, MEASURES, Measure
from metricat_hub.model.ports import Matcher
from metricat_hub.promql.parser import parse
from metricat_rules import recording

NODE = (Matcher("node", "=", 'a"b\\c'), Matcher("device", "=~", "<window>|sd.*"))


def test_every_measure_of_the_operator_has_a_plain_name() -> None:
    assert len(MEASURES) == len(BY_NAME) == 47
    assert [measure.title for measure in MEASURES] == list(recording.MEASURES)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.name)
@pytest.mark.parametrize("matchers", [(), NODE], ids=["all", "some"])
def test_expression_is_valid_and_restricts_every_selector(measure: Measure, matchers: tuple[Matcher, ...]) -> None:
    expression = measure.expression(90_000, matchers)
    parse(expression)
    assert ("[1m30s]" in expression) == ("<window>" in EXPRESSIONS[measure.title])
    count = EXPRESSIONS[measure.title].count("<selector>") if matchers else 0
    assert expression.count('node="a\\"b\\\\c",device=~"<window>|sd.*"') == count
    assert "metricat:" not in expression


def test_recorded_series_are_expanded_recursively() -> None:
    assert BY_NAME["network_receive_drops_per_sec"].expression(60_000) == (
        "(label_replace(max by (namespace, service, node, pool, device) (rate(node_network_receive_drop_total{}[1m])), "
        '"direction", "receive", "", ""))'
    )
    assert "rate(node_disk_reads_completed_total{}[1m])" in BY_NAME["disk_await_milliseconds"].expression(60_000)
