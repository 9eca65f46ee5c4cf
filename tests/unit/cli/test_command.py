"""The command line: wrong arguments and files, and the report."""

import argparse
import json
import re
from pathlib import Path

import pytest

from metricat_cli import commands as commands_package
from metricat_cli import report
from metricat_cli.__main__ import main
from metricat_cli.backtest import AlertRule, Firing, read
from metricat_cli.commands import COMMANDS
from metricat_cli.episodes import Episode, Timing
from support.paths import GOLDEN

NOWHERE = "http://127.0.0.1:9"


def test_rules_equal_the_operators() -> None:
    target = read(GOLDEN / "pools" / "target.yaml", step=30)
    manifests = (GOLDEN / "pools" / "manifests.yaml").read_text()
    assert len(target.rules) == manifests.count("- alert: ")
    rule = next(one for one in target.rules if one.alert == "NodeCPUUsageHigh" and one.severity == "critical")
    assert rule.timing.step == 30
    assert rule.timing.for_ > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: ConfigMap", "holds 0 objects of kind MonitoringTarget"),
        ("kind: [", "cannot read"),
        ("just words", "cannot read"),
        ("kind: MonitoringTarget\nkind: MonitoringTarget", "the key kind is given twice"),
        ("{kind: MonitoringTarget, metadata: {name: a, name: b}}", "the key name is given twice"),
        ("kind: MonitoringTarget", "no metadata.name"),
        ("{kind: MonitoringTarget, metadata: {name: a}, spec: {agent: {port: -1}}}", "spec.agent.port"),
    ],
)
def test_unusable_file_is_refused(text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "target.yaml"
    file.write_text(text)
    assert main(["backtest", "-f", str(file), "--prometheus", NOWHERE]) == 1
    assert message in capsys.readouterr().err


def test_unreachable_prometheus_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "-f", str(GOLDEN / "minimal" / "target.yaml"), "--prometheus", NOWHERE]) == 1
    assert "cannot reach http://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "invalid duration 'soon'; use for example 7d, 12h or 30s"),
        (["--since", "12h1d"], "invalid duration '12h1d'; use for example 7d, 12h or 30s"),
        (["--since", "0d"], "invalid duration '0d': it is zero; use for example 7d, 12h or 30s"),
        (["--step", "1"], "invalid duration '1'; use for example 7d, 12h or 30s"),
        (["--prometheus", "localhost:9090"], "invalid URL 'localhost:9090'; use for example http://localhost:9090"),
        (["--since", "999999y"], "invalid duration '999999y': it is above 50 years; use for example 7d, 12h or 30s"),
        (["--prometheus", "http://a b"], "invalid URL 'http://a b'; use for example http://localhost:9090"),
        (["--header", "A B: c"], "invalid header 'A B: c'; use for example 'Authorization: Bearer TOKEN'"),
        (
            ["--header", "A: b\r\nC: d"],
            "invalid header 'A: b\\r\\nC: d'; use for example 'Authorization: Bearer TOKEN'",
        ),
        (["--header", "no colon"], "invalid header 'no colon'; use for example 'Authorization: Bearer TOKEN'"),
        (["--step"], "argument --step: expected one argument"),
    ],
)
def test_invalid_arguments_name_the_remedy(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["backtest", "-f", "x", "--prometheus", NOWHERE, *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"metricat: {message}\nRun 'metricat backtest --help' for usage.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--step", "1d", "--since", "1h"], "--step is longer than --since. Use a shorter step"),
        (["--header", "A: b", "--header", "a: c"], "--header: a is given twice. Remove one of them"),
    ],
)
def test_arguments_that_contradict_are_an_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backtest", "-f", "x", "--prometheus", NOWHERE, *arguments]) == 1
    assert message in capsys.readouterr().err


def test_without_a_command_it_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "backtest" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"metricat \d+\.\d+\.\S+\n", capsys.readouterr().out)


def test_every_command_and_option_has_a_description() -> None:
    for command in COMMANDS:
        commands = argparse.ArgumentParser().add_subparsers()
        command.add_parser(commands)
        [parser] = commands.choices.values()
        assert [entry.help for entry in commands._choices_actions if entry.help], (
            "argparse hides a command without help"
        )
        assert parser.description
        assert parser.get_default("run") is command.run
        assert all(action.help for action in parser._actions)


def test_every_module_is_registered_as_a_command() -> None:
    modules = {path.stem for path in Path(str(commands_package.__file__)).parent.glob("*.py")} - {"__init__"}
    assert {command.__name__.rpartition(".")[2] for command in COMMANDS} == modules


def test_report_as_table_and_json() -> None:
    fired, silent = (AlertRule(alert, "warning", "", Timing(30)) for alert in ("Loud", "Silent"))
    nodes = ["n2", "n1", "n1", "n3", "n4"]
    found = {
        fired: [Firing(fired, {"node": node}, Episode(0, 60 * number)) for number, node in enumerate(nodes, 1)],
        silent: [],
    }
    assert report.table(found).splitlines() == [
        "ALERT  SEVERITY  FIRED  TOTAL  LONGEST  LAST              NODES",
        "Loud   warning   5      15m    5m       1970-01-01 00:00  n1 (2), n2 (1), n3 (1) and 1 more",
        "",
        "Alert rules that would not have fired: 1.",
    ]
    assert [one["labels"]["node"] for one in json.loads(report.to_json(found))] == nodes


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (30, "30s"), (3600, "1h"), (3661, "1h1m"), (90_000, "1d1h"), (86_460, "1d")]
)
def test_format_duration(seconds: float, text: str) -> None:
    assert report.format_duration(seconds) == text
