"""Commands that read MonitoringTargets from files: validate, render and diff."""

import io
import json
from pathlib import Path

import pytest
import yaml

from metricat_cli import rendering
from metricat_cli.__main__ import main
from support.paths import GOLDEN

MINIMAL, POOLS = (str(GOLDEN / case / "target.yaml") for case in ("minimal", "pools"))
INVALID = "{kind: MonitoringTarget, metadata: {name: a}, spec: {agent: {port: -1}}}"


def test_validate_checks_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", MINIMAL, POOLS]) == 0
    assert "2 of 2 are valid." in capsys.readouterr().out
    wrong, broken = tmp_path / "wrong.yaml", tmp_path / "broken.yaml"
    wrong.write_text(INVALID)
    broken.write_text("a: 1\nb: [")
    assert main(["validate", MINIMAL, str(wrong), str(broken), str(tmp_path / "gone"), "-o", "json"]) == 1
    valid, invalid, no_yaml, gone = json.loads(capsys.readouterr().out)
    assert valid["errors"] == []
    assert "spec.agent.port" in invalid["errors"][0]
    assert "line 2: " in no_yaml["errors"][0]
    assert gone["errors"][0].endswith("the file does not exist. Check the path")


def test_validate_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    items = {"kind": "List", "items": [yaml.safe_load(INVALID), {"kind": "ConfigMap"}]}
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(items)))
    assert main(["validate", "-"]) == 1
    assert "standard input: default/a: not valid\n  error: spec.agent.port" in capsys.readouterr().out


def test_validate_takes_files_with_and_without_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", MINIMAL, "-f", POOLS]) == 0
    assert "2 of 2 are valid." in capsys.readouterr().out
    assert main(["validate"]) == 2
    assert "Name YAML files, or - for standard input" in capsys.readouterr().err


def test_validate_fails_without_a_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: ConfigMap")
    assert main(["validate", str(file)]) == 1
    assert "no MonitoringTarget in " in capsys.readouterr().err


def test_validate_is_strict_about_unknown_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("{kind: MonitoringTarget, metadata: {name: a}, spec: {intervall: 1s}}")
    assert main(["validate", str(file)]) == 0
    assert "warning: spec.intervall: unknown" in capsys.readouterr().out
    assert main(["validate", "--strict", str(file)]) == 1


def test_render_prints_the_operators_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "-f", POOLS, "--agent-image", "metricat/agent:golden"]) == 0
    found = list(yaml.safe_load_all(capsys.readouterr().out))
    expected = list(yaml.safe_load_all((GOLDEN / "pools" / "manifests.yaml").read_text()))
    for one in expected:
        del one["metadata"]["ownerReferences"]
    assert found == expected


def test_render_names_the_labels_that_depend_on_the_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "target.yaml"
    head = "kind: MonitoringTarget\nmetadata: {name: a}\n"
    for spec, fields in (
        ("{}", "spec.monitor.labels and spec.alerts.labels"),
        ("{monitor: {labels: {}}}", "spec.alerts.labels"),
    ):
        file.write_text(f"{head}spec: {spec}\n")
        assert main(["render", "-f", str(file)]) == 0
        assert f"note: no labels are set in {fields}. The operator may add labels" in capsys.readouterr().err
    file.write_text(f"{head}spec: {{monitor: {{labels: {{}}}}, alerts: {{labels: {{a: b}}}}}}\n")
    assert main(["render", "-f", str(file)]) == 0
    assert capsys.readouterr().err == ""


def test_extra_labels_are_those_of_a_spec_without_labels() -> None:
    extra = rendering.ExtraLabels({"release": "kps"}, {"role": "rules"})
    same = {"monitor": {"labels": {"release": "kps"}}, "alerts": {"labels": {"role": "rules"}}}
    assert rendering.children("nodes", "a", {}, "x", extra) == rendering.children("nodes", "a", same, "x")
    other = {"monitor": {"labels": {"release": "mine"}}, "alerts": {"labels": {}}}
    assert rendering.children("nodes", "a", other, "x", extra) == rendering.children("nodes", "a", other, "x")


def test_differences_name_the_object_and_the_line() -> None:
    before = rendering.children("nodes", "monitoring", {}, "x")
    after = rendering.children("nodes", "monitoring", {"agent": {"port": 9200}, "alerts": {"enabled": False}}, "x")
    text = rendering.differences(before, after)
    assert "--- live DaemonSet monitoring/metricat-nodes" in text
    assert "+            containerPort: 9200" in text or "containerPort: 9200" in text
    assert "--- live PrometheusRule monitoring/metricat-nodes" in text
    assert rendering.differences(before, before) == ""


def test_diff_without_a_usable_file_exits_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "-f", str(tmp_path / "gone")]) == 2
    assert "the file does not exist" in capsys.readouterr().err
