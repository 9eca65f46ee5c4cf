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
    assert "line 3: " in no_yaml["errors"][0]
    assert gone["errors"][0].endswith("the file does not exist. Check the path")


def test_validate_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    items = {"kind": "List", "items": [yaml.safe_load(INVALID), {"kind": "ConfigMap"}]}
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(items)))
    assert main(["validate", "-"]) == 1
    assert "standard input: default/a: not valid\n  error: spec.agent.port" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "exit_code"), [("A", 1), ("a..b", 1), ("a" * 254, 1), ("a" * 253, 0), ("a.b-c", 0)])
def test_validate_checks_the_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, exit_code: int
) -> None:
    file = tmp_path / "target.yaml"
    file.write_text(yaml.safe_dump({"kind": "MonitoringTarget", "metadata": {"name": name}}))
    assert main(["validate", str(file)]) == exit_code
    assert ("metadata.name: " in capsys.readouterr().out) == bool(exit_code)


def test_validate_reports_a_target_that_exists_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = {"kind": "MonitoringTarget", "metadata": {"name": "a", "namespace": "team"}, "spec": {}}
    other = {**one, "metadata": {"name": "a"}}
    twice, again = tmp_path / "twice.yaml", tmp_path / "again.yaml"
    twice.write_text(yaml.safe_dump_all([one, {"kind": "ConfigMap"}, {"kind": "List", "items": [other, one]}]))
    again.write_text(yaml.safe_dump(one))
    assert main(["validate", str(twice), "-o", "json"]) == 1
    first, in_default, second = json.loads(capsys.readouterr().out)
    assert (first["errors"], in_default["errors"]) == ([], [])
    [error] = second["errors"]
    assert error.startswith(f"object 4 of {twice} has the same name and namespace as object 1 of {twice}. ")
    assert main(["validate", str(again), str(twice)]) == 1
    assert main(["validate", str(again), "-f", str(again)]) == 1  # the same file
    capsys.readouterr()
    twice.write_text(again.read_text())  # the files may be alternatives
    assert main(["validate", str(again), str(twice)]) == 0
    assert f"warning: object 1 of {twice} has the same name and namespace as object 1 of {again}. " in (
        capsys.readouterr().out
    )
    assert main(["validate", "--strict", str(again), str(twice)]) == 1


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


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]\n" for number in range(1, 9)
)
BROKEN = {
    "billion aliases": (BOMB, "more than 1,000,000 values, with all aliases expanded. Correct the YAML"),
    "list of a billion aliases": (BOMB.replace("\na", "\n- &").replace("a0:", "-"), "cannot read"),
    "recursive alias": ("a: &a [*a]", "an alias refers to its own value. Correct the YAML"),
    "deep": ("a: " + "[" * 5000, "cannot read"),
    "date": ("a: 2026-13-45", "month must be in 1..12. Correct the file"),
    "number": (f"a: {'9' * 5000}", "cannot read"),
    "binary": ("\x00\x01", "cannot read"),
    "large": ("#" * (8 * 2**20 + 1), "it is larger than 8 MiB. Correct the file"),
}
METADATA = {
    "name is a number": ("{name: 5}", "metadata.name: invalid name '5'; use lowercase letters"),
    "name with blanks": ("{name: A B}", "metadata.name: invalid name 'A B'"),
    "namespace is a date": ("{name: a, namespace: 2026-01-01}", "metadata.namespace: invalid name '2026-01-01'"),
    "no map": ("x", "metadata is not a map"),
    "other version": ("{name: a}\napiVersion: metricat.dev/v2", "invalid apiVersion 'metricat.dev/v2'; use"),
    "no name": ("{}", "has no metadata.name. Set it."),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_is_reported_in_one_sentence(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = BROKEN[case]
    file = tmp_path / "a.yaml"
    file.write_text(text)
    for command in (["render", "-f"], ["migrate"], ["backtest", "--prometheus", "http://127.0.0.1:9", "-f"]):
        assert main([*command, str(file)]) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert message in line
    assert main(["validate", "-o", "json", str(file)]) == 1
    [found] = json.loads(capsys.readouterr().out)
    assert message in found["errors"][0]


@pytest.mark.parametrize("case", METADATA)
def test_invalid_metadata_is_named(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, message = METADATA[case]
    file = tmp_path / "a.yaml"
    file.write_text(f"kind: MonitoringTarget\nmetadata: {text}\n")
    assert main(["render", "-f", str(file)]) == 1
    assert message.removesuffix(".") in capsys.readouterr().err
    assert main(["validate", str(file)]) == 1
    assert message in capsys.readouterr().out


def test_aliases_and_merge_keys_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("x: &x {port: 9200}\nkind: MonitoringTarget\nmetadata: {name: a}\nspec: {agent: {<<: *x}}\n")
    assert main(["render", "-f", str(file)]) == 0
    assert "containerPort: 9200" in capsys.readouterr().out


def test_standard_input_is_read_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "-", "-"]) == 2
    assert capsys.readouterr().err == "metricat: - is given twice. Standard input can be read only once\n"
