"""The command line: wrong arguments and files, and the report."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from metricat_cli import argparse_command, report, typer_command
from metricat_cli import commands as commands_package
from metricat_cli.__main__ import main
from metricat_cli.backtest import AlertRule, Firing, read
from metricat_cli.commands import COMMANDS, GROUP, available, summaries
from metricat_cli.episodes import Episode, Timing
from metricat_cli.output import format_duration
from support.paths import GOLDEN, ROOT

TESTS = ROOT / "tests"
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
        (
            ["--prometheus", "http://u:secret@a b"],
            "invalid URL 'http://***@a b'; use for example http://localhost:9090",
        ),
        (["--header", "A B: c"], "invalid header; use for example 'Authorization: Bearer TOKEN'"),
        (
            ["--header", "A: b\r\nC: d"],
            "invalid header A: its value has a character that is not printable; remove it",
        ),
        (["--header", "no colon"], "invalid header; use for example 'Authorization: Bearer TOKEN'"),
        (["--step"], "option '--step' requires an argument"),
        (["--sicne=secret"], "unrecognized argument --sicne; did you mean --since?"),
    ],
)
def test_invalid_arguments_name_the_remedy(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backtest", "-f", "x", "--prometheus", NOWHERE, *arguments]) == 2
    assert capsys.readouterr().err == f"metricat: {message}\nRun 'metricat backtest --help' for usage.\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--step", "1d", "--since", "1h"], "--step is longer than --since. Use a shorter step"),
        (["--header", "A: b", "--header", "a: c"], "--header: a is given twice. Remove one of them"),
    ],
)
def test_arguments_that_contradict_exit_with_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backtest", "-f", "x", "--prometheus", NOWHERE, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_without_a_command_it_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "backtest" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["up", "hub", "store"])
def test_command_of_the_hub_needs_no_typer(command: str) -> None:
    """The hub's image has neither Typer nor Rich."""
    code = "import sys; sys.modules.update(typer=None, rich=None); from metricat_cli.__main__ import main; "
    done = subprocess.run(
        [sys.executable, "-c", f"{code}main(['{command}', '--help'])"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_help_needs_no_command_and_no_cluster() -> None:
    code = "import sys; from metricat_cli.__main__ import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stdout.splitlines()[-1].split()
    assert "metricat_cli.commands" in imported
    heavy = ("typer", "rich", "pydantic", "yaml", "ssl", "kopf", "kubernetes", "argparse", "metricat_operator")
    assert [one for one in imported if one.startswith(heavy)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_imports_no_library_of_the_operator(command: str) -> None:
    code = f"import sys; from metricat_cli.__main__ import main; main(['{command}', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stdout.splitlines()[-1].split()
    assert f"metricat_cli.commands.{command}" in imported
    assert [one for one in imported if one.startswith(("rich", "pydantic", "kopf", "kubernetes", "aiohttp"))] == []


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"metricat \d+\.\d+\.\S+\n", capsys.readouterr().out)


def test_unknown_command_names_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["statsu"]) == 2
    assert capsys.readouterr().err == "metricat: unknown command 'statsu'. Did you mean status?\n"


def test_every_command_and_option_has_a_description() -> None:
    assert all(COMMANDS.values())
    for name, load in available().items():
        module = load()
        assert summaries()[name]
        if hasattr(module, "command"):
            command = typer_command.build(module, name)
            assert command.help
            assert [one.name for one in command.params if not one.help] == []
        else:
            parser = argparse_command.parser(module, name, "metricat")
            assert parser.description
            assert callable(parser.get_default("run"))
            assert all(action.help for action in parser._actions)


def test_every_module_is_registered_as_a_command() -> None:
    modules = {path.stem for path in Path(str(commands_package.__file__)).parent.glob("*.py")} - {"__init__"}
    assert set(COMMANDS) == modules


def run_by_tests() -> set[str]:
    """Return the commands that a test of this folder, or one on a real API server, runs through `main`."""
    calls = (
        node
        for path in (*Path(__file__).parent.glob("test_*.py"), *(TESTS / "integration").rglob("test_command_line*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "main" and node.args
    )
    lists = (call.args[0].elts for call in calls if isinstance(call.args[0], ast.List))
    return {str(first.value) for first, *_ in filter(None, lists) if isinstance(first, ast.Constant)}


def test_every_command_is_run_by_a_test() -> None:
    assert set(COMMANDS) <= run_by_tests()


def install(folder: Path, name: str, module: str, code: str) -> None:
    """Write a package with a command, as pip installs it."""
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}\n")


ADDED = """
def add_parser(commands):
    parser = commands.add_parser("greet", help="greet", description="Greet.")
    parser.set_defaults(run=lambda chosen: f"hello {chosen.name}")
    parser.add_argument("--name")
"""


def test_packages_add_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, "greet", "greeting_command", ADDED)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["greet", "--name", "Ada"]) == 0
    assert capsys.readouterr().out == "hello Ada\n"
    assert main(["--help"]) == 0
    assert "greet" in capsys.readouterr().out
    assert main(["greet", "--nmae=secret"]) == 2
    assert "unrecognized argument --nmae; did you mean --name?" in (error := capsys.readouterr().err)
    assert "secret" not in error


def test_only_the_command_that_runs_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path, "broken", "broken_command", "import missing_library")
    install(tmp_path, "greet", "other_command", ADDED)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["greet"]) == 0
    assert main(["broken"]) == 1
    error = capsys.readouterr().err
    assert "the command broken of broken_command cannot be loaded: No module named 'missing_library'" in error
    assert "pip install --force-reinstall broken_command" in error


@pytest.mark.parametrize("command", commands_package.ADDED)
def test_command_of_a_missing_package_names_the_package(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commands_package, "entry_points", lambda **_: ())  # as where metricat-hub is not installed
    assert main([command, "--listen=:1"]) == 1
    assert "metricat-hub, which is not installed. Run: pip install metricat-hub" in capsys.readouterr().err


def test_report_is_printed_as_table_and_json() -> None:
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
def test_durations_are_formatted_in_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
