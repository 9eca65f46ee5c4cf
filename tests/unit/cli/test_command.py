"""The command at a terminal: what it says to wrong arguments and files."""

import json
from pathlib import Path

import pytest

from metricat_cli import report
from metricat_cli.__main__ import main
from metricat_cli.backtest import Firing, Rule, read
from metricat_cli.episodes import Episode, Timing
from support.paths import GOLDEN

NOWHERE = "http://127.0.0.1:9"


def test_the_rules_are_those_that_the_operator_ships() -> None:
    target = read(GOLDEN / "pools" / "target.yaml", step=30)
    manifests = (GOLDEN / "pools" / "manifests.yaml").read_text()
    assert len(target.rules) == manifests.count("- alert: ")
    rule = next(one for one in target.rules if one.alert == "NodeCPUUsageHigh" and one.severity == "critical")
    assert rule.timing.step == 30
    assert rule.timing.hold > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: ConfigMap", "holds 0 objects of kind MonitoringTarget"),
        ("kind: [", "cannot read"),
        ("just words", "cannot read"),
        ("kind: MonitoringTarget", "no metadata.name"),
        ("{kind: MonitoringTarget, metadata: {name: a}, spec: {agent: {port: -1}}}", "spec.agent.port"),
    ],
)
def test_a_file_that_is_none(text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "target.yaml"
    file.write_text(text)
    assert main(["backtest", "-f", str(file), "--prometheus", NOWHERE]) == 1
    assert said in capsys.readouterr().err


def test_a_prometheus_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", "-f", str(GOLDEN / "minimal" / "target.yaml"), "--prometheus", NOWHERE]) == 1
    assert "cannot reach http://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "invalid duration 'soon'; use for example 7d, 12h or 30s"),
        (["--since", "12h1d"], "invalid duration '12h1d'; use for example 7d, 12h or 30s"),
        (["--since", "0d"], "'0d' is zero; use for example 7d, 12h or 30s"),
        (["--step", "1"], "invalid duration '1'; use for example 7d, 12h or 30s"),
        (["--prometheus", "localhost:9090"], "write it like"),
        (["--header", "no colon"], "is written like"),
    ],
)
def test_invalid_arguments_name_the_remedy(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["backtest", "-f", "x", "--prometheus", NOWHERE, *arguments])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_table_and_the_document() -> None:
    loud, quiet = (Rule(alert, "warning", "", Timing(30)) for alert in ("Loud", "Quiet"))
    nodes = ["n2", "n1", "n1", "n3", "n4"]
    found = {
        loud: [Firing(loud, {"node": node}, Episode(0, 60 * number)) for number, node in enumerate(nodes, 1)],
        quiet: [],
    }
    assert report.table(found).splitlines() == [
        "ALERT  SEVERITY  FIRED  TOTAL  LONGEST  LAST              NODES",
        "Loud   warning   5      15m    5m       1970-01-01 00:00  n1 (2), n2 (1), n3 (1) and 1 more",
        "",
        "The other 1 levels of alerts would not have fired.",
    ]
    assert [one["labels"]["node"] for one in json.loads(report.document(found))] == nodes


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (30, "30s"), (3600, "1h"), (3661, "1h1m"), (90_000, "1d1h"), (86_460, "1d")]
)
def test_spans(seconds: float, text: str) -> None:
    assert report.span(seconds) == text
