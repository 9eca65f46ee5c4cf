"""Precedence of flags, file and environment, and the errors of the settings file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from metricat_agent.collectors import Collector
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.collectors.option import switch, variable_name
from metricat_agent.config.flags import all_options
from metricat_agent.config.loader import unknown_variables
from metricat_agent.config.settings import SettingError, Settings, parse

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_agent.exposition.model import Metrics

FLAG, FILE, VARIABLE = "--log.level=error", "log: {level: warn}", {"METRICAT_LOG_LEVEL": "debug"}


def settings(tmp_path: Path, content: str, *arguments: str, **environment: str) -> Settings:
    file = tmp_path / "agent.yaml"
    file.write_text(content)
    return parse([f"--config.file={file}", *arguments], environment, COLLECTORS)


def test_flag_precedes_file_and_file_precedes_environment(tmp_path: Path) -> None:
    assert settings(tmp_path, FILE, FLAG, **VARIABLE).log_level == "error"
    assert settings(tmp_path, FILE, **VARIABLE).log_level == "warn"
    assert settings(tmp_path, "", **VARIABLE).log_level == "debug"
    assert settings(tmp_path, "").log_level == "info"


@pytest.mark.parametrize(
    "content",
    [
        "collector: {cpu: false, netdev: {enabled: true, device-exclude: ^x}}",
        "collector.cpu: no\ncollector.netdev.device-exclude: ^x",
        "collector: {cpu: {enabled: off}, netdev.device-exclude: '^${LETTER}'}",
    ],
)
def test_file_accepts_nested_and_dotted_keys(tmp_path: Path, content: str) -> None:
    given = settings(tmp_path, content, LETTER="x")
    assert "cpu" not in given.collectors
    assert not given.collectors["netdev"].filters["device-exclude"].keeps("x1")
    assert given.collectors["netdev"].filters["device-exclude"].keeps("veth1")


def test_environment_can_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("web: {listen-address: [':1', '[::1]:2'], access-log: true}")
    given = parse([], {"METRICAT_CONFIG_FILE": str(file)}, COLLECTORS)
    assert [str(address) for address in given.listen] == [":1", "[::1]:2"]
    assert given.access_log


def test_environment_switches_collectors_and_ignores_service_variables() -> None:
    environment = {"METRICAT_COLLECTOR_CPU": "false", "METRICAT_OPERATOR_SERVICE_HOST": "10.0.0.1"}
    assert "cpu" not in parse([], environment, COLLECTORS).collectors
    assert "cpu" in parse(["--collector.cpu"], environment, COLLECTORS).collectors


def test_doubled_dollar_before_braces_is_a_literal_dollar(tmp_path: Path) -> None:
    given = settings(tmp_path, "collector.netdev.device-exclude: '^a$${B}|c$'")
    pattern = given.collectors["netdev"].filters["device-exclude"].exclude
    assert pattern is not None
    assert pattern.pattern == "^a${B}|c$"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("log: {level: loud}", r"^log\.level: loud in .*agent\.yaml: .*write debug"),
        ("log: {levl: info}", r"log\.levl in .*: unknown setting"),
        ("config: {file: other.yaml}", r"config\.file in .*: unknown setting"),
        (
            "web: {listen-address: [':1', '${TOKEN}']}",
            r"^web\.listen-address: :1, \$\{TOKEN\} in .*: not a listen address",
        ),
        ("[1, 2]", r"--config\.file=.*: not a mapping"),
        ("log: &log {level: *log}", r"--config\.file=.*: nested too deeply or recursively"),
        ("[" * 3000, r"--config\.file=.*: nested too deeply"),
        ("a: {b: [", r"--config\.file=.*: invalid YAML: .* in line 1"),
        ("log.level: ${SECRET_TOKEN}", r"SECRET_TOKEN is not set in the environment"),
        ("log.level: ${TOKEN}", r"^log\.level: \$\{TOKEN\} in [^:]*: [^:]*$"),
        (
            "agent: {cpu-limit: lots}",
            r"agent\.cpu-limit: lots in .*: not a number from 0\.1 to 100; write for example 2",
        ),
    ],
)
def test_bad_file_is_rejected_without_showing_secrets(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        settings(tmp_path, content, TOKEN="s3cr3t")
    assert "s3cr3t" not in str(caught.value)


def test_missing_file_is_rejected() -> None:
    with pytest.raises(SettingError, match=r"--config\.file=/nowhere: cannot be read: No such .*; give the path"):
        parse(["--config.file=/nowhere"], {}, COLLECTORS)


def test_bad_variable_is_named_in_the_error() -> None:
    with pytest.raises(SettingError, match=r"METRICAT_COLLECTOR_CPU=maybe: not a boolean"):
        parse([], {"METRICAT_COLLECTOR_CPU": "maybe"}, COLLECTORS)


def test_settings_have_unique_names_and_variables() -> None:
    options = list(all_options(COLLECTORS))
    names = [name for option in options for name in (option.name, *option.former_names)]
    assert len(set(names)) == len({variable_name(name) for name in names}) == len(names)


def test_former_name_of_a_flag_works_and_is_reported() -> None:
    given = parse(["--self.cpu-budget=5", "--collector.deadline=3", "--collector.series-budget", "7"], {}, COLLECTORS)
    assert (given.cpu_limit, given.collector_timeout, given.series_limit) == (0.05, 3, 7)
    assert given.deprecations == (
        "--self.cpu-budget is deprecated; use --agent.cpu-limit",
        "--collector.deadline is deprecated; use --collector.timeout",
        "--collector.series-budget is deprecated; use --collector.series-limit",
    )
    assert parse(["--agent.cpu-limit=5"], {}, COLLECTORS).deprecations == ()


def test_former_name_of_a_variable_works_and_is_reported() -> None:
    environment = {"METRICAT_SELF_CPU_BUDGET": "5"}
    given = parse([], environment, COLLECTORS)
    assert given.cpu_limit == 0.05
    assert given.deprecations == ("METRICAT_SELF_CPU_BUDGET is deprecated; use METRICAT_AGENT_CPU_LIMIT",)
    assert unknown_variables(environment, COLLECTORS) == []


def test_former_name_in_the_file_works_and_is_reported(tmp_path: Path) -> None:
    given = settings(tmp_path, "self: {cpu-budget: 5}")
    assert given.cpu_limit == 0.05
    file = tmp_path / "agent.yaml"
    assert given.deprecations == (f"self.cpu-budget in {file} is deprecated; use agent.cpu-limit in {file}",)


def test_former_name_keeps_the_precedence_of_its_source(tmp_path: Path) -> None:
    assert (
        settings(tmp_path, "agent: {cpu-limit: 3}", "--self.cpu-budget=5", METRICAT_AGENT_CPU_LIMIT="1").cpu_limit
        == 0.05
    )
    assert settings(tmp_path, "self: {cpu-budget: 3}", METRICAT_AGENT_CPU_LIMIT="1").cpu_limit == 0.03
    assert settings(tmp_path, "", "--self.cpu-budget=5", "--agent.cpu-limit=4").cpu_limit == 0.04


def test_bad_value_of_a_former_name_is_reported_as_written() -> None:
    with pytest.raises(SettingError, match=r"^--self\.cpu-budget=lots: not a number"):
        parse(["--self.cpu-budget=lots"], {}, COLLECTORS)


def test_former_name_of_a_switch_keeps_its_opposite() -> None:
    class Renamed(Collector):
        name, summary, families = "renamed", "has an option with a former name", ()
        options: ClassVar = (replace(switch("fast", "be fast"), former_names=("quick",)),)

        def collect(self) -> Metrics:
            return []

    for argument, value in (("--collector.renamed.quick", True), ("--no-collector.renamed.quick", False)):
        given = parse([argument], {}, {"renamed": Renamed})
        assert given.collectors["renamed"].options["fast"] is value
        assert given.deprecations == ("--collector.renamed.quick is deprecated; use --collector.renamed.fast",)
