"""Thresholds in the short form: the rules that they become, and the errors of wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from metricat_agent.config.yaml_text import read_file
from metricat_hub.config.sections import ConfigFileError
from metricat_hub.evaluation import rule_file
from metricat_hub.evaluation.measure_texts import first_step, processes
from metricat_hub.evaluation.rules import AlertingRule
from metricat_hub.evaluation.short_form import OPERATORS
from metricat_hub.model.measures import MEASURES, SHORT_NAMES
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.limits import Limits
from support.memory_reader import MemoryReader

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.model.measures import Measure


def rules(folder: Path, text: str) -> list[AlertingRule]:
    path = folder / "rules.yaml"
    path.write_text(text)
    [group] = rule_file.parse(read_file(str(path)), "rules.yaml", 30_000, 60_000)
    assert (group.name, group.interval) == ("thresholds", 30_000)
    return [one for one in group.rules if isinstance(one, AlertingRule)]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: one.name)
def test_every_measure_becomes_a_valid_rule(measure: object, tmp_path: Path) -> None:
    name = measure.name  # type: ignore[attr-defined]
    [rule] = rules(tmp_path, f"rules:\n  {name}: {{threshold: 80, match: {{node: a}}}}\n")
    assert 'node="a"' in rule.expression
    assert rule.expression.endswith(" > 80")


def test_issue_form_and_all_keys(tmp_path: Path) -> None:
    first, second = rules(
        tmp_path,
        """
rules:
  cpu_usage: {threshold: 80, duration: 5m, severity: warning}
  filesystem_usage_percent:
    - {threshold: 0.5, operator: "<=", for_duration_minutes: 1.5, cooldown_minutes: 30, severity: critical,
       name: Empty, labels: {team: a}, match: {mountpoint: /}}
    - {threshold: 1, enabled: false}
""",
    )
    assert (first.name, first.timing.hold, first.timing.keep_firing) == ("CpuUsageHigh", 300_000, 0)
    assert {name: one.source for name, one in second.labels.items()} | {"resource": ""} == {
        "severity": "critical",
        "team": "a",
        "resource": "",
    }
    assert (second.name, second.timing.hold, second.timing.keep_firing) == ("Empty", 90_000, 0)
    assert second.annotations["cooldown"].source == "30m"
    assert second.expression.endswith(" <= 0.5")


def test_texts_have_the_processes_and_the_first_step_of_a_shortage(tmp_path: Path) -> None:
    found = {
        one.name: one.annotations
        for one in rules(
            tmp_path,
            """
rules:
  cpu_usage: {threshold: 80}
  memory_available_bytes: {threshold: 1e9, operator: "<"}
  memory_usage: {threshold: 5, operator: "<", name: MemoryUnused}
  filesystem_usage: {threshold: 80}
  filesystem_total_bytes: {threshold: 1, operator: "<"}
""",
        )
    }
    assert "metricat_process_cpu_ratio{node=%q}" in found["CpuUsageHigh"]["description"].source
    assert found["CpuUsageHigh"]["action"].source.startswith("Stop the processes named in the description")
    low = found["MemoryAvailableBytesLow"]
    assert "metricat_process_resident_memory_bytes{node=%q}" in low["description"].source
    assert low["action"].source.startswith("Check whether the memory")
    assert "action" not in found["MemoryUnused"]
    assert found["FilesystemUsageHigh"]["action"].source.startswith("Run du -xh")
    assert "query" not in found["FilesystemUsageHigh"]["description"].source
    assert "action" not in found["FilesystemTotalBytesLow"]


@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: one.name)
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_first_step_names_no_tool_of_kubernetes(measure: Measure, operator: str) -> None:
    step = first_step(measure, operator)
    assert not {"kubectl", "pod", "pods", "kubelet"} & set(step.replace(",", "").split())
    assert "description" not in step or processes(measure)


@pytest.mark.parametrize("operator", OPERATORS)
def test_operator_compares_the_measure(operator: str, tmp_path: Path) -> None:
    reader = MemoryReader()
    for node, value in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        reader.add({"__name__": "node_load1", "node": node}, [(0, value)])
    [rule] = rules(tmp_path, f'rules:\n  load_average_1m: {{threshold: 2, operator: "{operator}"}}\n')
    found = Engine(Limits()).instant(reader, rule.expression, 0)
    expected = {">": "c", "<": "a", ">=": "bc", "<=": "ab", "==": "b", "!=": "ac"}[operator]
    assert "".join(sorted(dict(labels)["node"] for labels in found.labels)) == expected
    assert np.isfinite(found.values).all()


def test_short_names_are_unambiguous() -> None:
    assert SHORT_NAMES["cpu_usage"].name == "cpu_usage_percent"
    assert SHORT_NAMES["disk_usage"].name == "filesystem_usage_percent"
    assert not {one.name for one in MEASURES} & SHORT_NAMES.keys()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("cpu_usag: {threshold: 1}", "rules.cpu_usag: unknown key; did you mean cpu_usage?"),
        ("cpu_usage: {}", "rules.cpu_usage.threshold: missing; write a number, for example 80"),
        ("cpu_usage: {threshold: nan}", "rules.cpu_usage.threshold: invalid number 'nan'"),
        ("cpu_usage: {threshold: 1, operator: '=>'}", "unknown value '=>'; write one of >, <, >=, <=, ==, !="),
        ("cpu_usage: {threshold: 1, severity: bad}", "write one of info, warning, critical"),
        ("cpu_usage: 5", "rules.cpu_usage: not a mapping"),
        ("cpu_usage: [{threshold: 1}, {threshold: x}]", "rules.cpu_usage[1].threshold: invalid number 'x'"),
        (
            "cpu_usage: {threshold: 1, duration: 5m, for_duration_minutes: 5}",
            "both duration and for_duration_minutes are set",
        ),
        ("cpu_usage: {threshold: 1, for_duration_minutes: -1}", "-1 minutes is outside of 0 to"),
        ("cpu_usage: {threshold: 1, match: {'a-b': x}}", "invalid name 'a-b'"),
    ],
)
def test_wrong_threshold_is_named(text: str, error: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigFileError) as raised:
        rules(tmp_path, f"rules:\n  {text}\n")
    assert error in str(raised.value)
    assert "rules.yaml: line 2: " in str(raised.value)
