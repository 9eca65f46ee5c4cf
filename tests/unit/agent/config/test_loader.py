"""Precedence of flags, file and environment, and the errors of the settings file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from metricat_agent.collectors import Collector
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.collectors.option import switch, variable_name
from metricat_agent.config.flags import all_options, program
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
        ("log: {level: loud}", r"^log\.level: loud in .*agent\.yaml, line 1: .*write debug"),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("web.listen-address: []", r"^web\.listen-address in [^:]*, line 1: an empty list; write at least one value"),
        ("collector.textfile.directory: []", r"^collector\.textfile\.directory in .*: an empty list; "),
        ("log: {level: {}}", r"^log\.level in .*: an empty mapping; write a value"),
        ("log: {level: [debug, info]}", r"^log\.level: debug, info in .*: a list, but the setting takes one value; "),
        ("log.level: [debug]", r"^log\.level: debug in .*: a list, but "),
        ("collector.cpu: [true]", r"^collector\.cpu: true in .*: a list, but "),
        ("web.listen-address: [[':1']]", r"^web\.listen-address in .*: a list or a mapping inside a list"),
        ("web.listen-address: [':1', {a: b}]", r"^web\.listen-address: :1 in .*: a list or a mapping inside a list"),
        ("web.listen-address: [':1', ':2', ':1']", r"one of the values is given twice"),
        ("web.listen-address: [':1', null]", r": no value; write one, or remove the key"),
        ("log:\n  level:\n", r"^log\.level in [^:]*, line 2: no value; write one, or remove the key"),
        ("collector.netdev.device-exclude: ~", r"^collector\.netdev\.device-exclude: ~ in .*: no value"),
        (
            "log.level: info\nlog.format: json\nlog.level: debug",
            r"the key log\.level is given twice, in line 1 and in line 3",
        ),
        ("log: {level: info, level: info}", r"the key level is given twice, in line 1 and in line 1"),
        ("log: {level: info}\nlog.level: debug", r"^log\.level in [^:]*, line 2: the setting is given in line 1 too"),
        (
            "collector: {cpu: {enabled: false}}\ncollector.cpu: true",
            r"^collector\.cpu in [^:]*, line 2: the setting is given in line 1 too",
        ),
        ("web.max-requests: 2.7", r"^web\.max-requests: 2\.7 in .*: not a whole number from 0 to 10000; write for exa"),
        ("web.max-requests: 010", r"^web\.max-requests: 010 in .*: not a whole number"),
        ("web.max-requests: 0x10", r"^web\.max-requests: 0x10 in .*: not a whole number"),
        ("web.max-requests: 1_000", r"^web\.max-requests: 1_000 in .*: not a whole number"),
        ("web.max-requests: 1:30", r"^web\.max-requests: 1:30 in .*: not a whole number"),
        (
            "web.max-requests: yes",
            r"^web\.max-requests: yes in .*: a boolean, but the setting is not a switch; write its value",
        ),
        ("collector.processes.top: 3.0", r"^collector\.processes\.top: 3\.0 in .*: not a whole number from 1 to "),
        ("collector.timeout: 1:30", r"^collector\.timeout: 1:30 in .*: invalid number of seconds"),
        ("collector.netdev.device-include: no", r"^collector\.netdev\.device-include: no in .*: a boolean, but"),
        ("log.level: off", r"^log\.level: off in .*: a boolean, but"),
        ("collector.cpu: maybe", r"^collector\.cpu: maybe in .*: not a boolean; write true or false"),
        ("collector.cpu: 2", r"^collector\.cpu: 2 in .*: not a boolean"),
        ("log.level: !x info", r"the tag !x in line 1 is not supported"),
        ("log.level: !!python/name:os.system x", r"the tag .* in line 1 is not supported"),
        ("? [a, b]\n: c", r"a key in line 1 is not text"),
        ("<<: info", r"<< in line 1 is not followed by a mapping"),
        ('log.level: "a\\nb"', r"^log\.level: a\\nb in .*: unknown value"),
        ("log: {levle: info}", r"^log\.levle in .*: unknown setting; did you mean log\.level\? --help"),
        ("collector.netdev.device-exlcude: ^x", r"unknown setting; did you mean collector\.netdev\.device-exclude\?"),
        ("no-collector.cpu: true", r"^no-collector\.cpu in [^?]*: unknown setting; --help"),
    ],
)
def test_value_in_the_file_that_cannot_be_meant_is_rejected(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingError, match=message) as caught:
        settings(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_booleans_and_numbers_may_be_quoted_in_the_file(tmp_path: Path) -> None:
    given = settings(tmp_path, "collector: {cpu: 'no', tcpstat: On, processes: \"yes\"}\nweb.max-requests: '7'")
    assert "cpu" not in given.collectors
    assert {"tcpstat", "processes"} <= set(given.collectors)
    assert given.max_requests == 7


def test_file_keeps_the_text_of_a_value_that_yaml_would_change(tmp_path: Path) -> None:
    given = settings(tmp_path, "collector.netdev.device-exclude: 010\nweb.telemetry-path: /1_0\npath.rootfs: '/'")
    expression = given.collectors["netdev"].filters["device-exclude"].exclude
    assert expression is not None
    assert expression.pattern == "010"
    assert given.telemetry_path == "/1_0"


def test_file_may_share_settings_by_anchor(tmp_path: Path) -> None:
    given = settings(tmp_path, "collector: {arp.device-exclude: &pods ^veth, netdev.device-exclude: *pods}")
    expression = given.collectors["netdev"].filters["device-exclude"].exclude
    assert expression is not None
    assert expression.pattern == "^veth"
    merged = settings(tmp_path, "web: {<<: {max-requests: 3, access-log: true}, max-requests: 5}")
    assert (merged.max_requests, merged.access_log) == (5, True)


def test_missing_file_is_rejected() -> None:
    with pytest.raises(SettingError, match=r"--config\.file=/nowhere: cannot be read: No such .*; give the path"):
        parse(["--config.file=/nowhere"], {}, COLLECTORS)


def test_bad_variable_is_named_in_the_error() -> None:
    with pytest.raises(SettingError, match=r"METRICAT_COLLECTOR_CPU=maybe: not a boolean"):
        parse([], {"METRICAT_COLLECTOR_CPU": "maybe"}, COLLECTORS)


def test_misspelt_variable_is_reported_with_the_nearest_setting() -> None:
    environment = {
        "METRICAT_LOG_LEVLE": "warn",
        "METRICAT_COLLECTOR_NETDEV_DEVICE_EXCLUD": "x",
        "METRICAT_NO_COLLECTOR_CPU": "x",
        "METRICAT_SERVICE_HOST": "10.0.0.1",
        "METRICAT_PORT_9100_TCP": "tcp://10.0.0.1:9100",
        "METRICAT_WEB_LISTEN_PORT": "9100",
        "METRICAT_WEB_SERVICE_PORT": "80",
    }
    assert unknown_variables(environment, program(COLLECTORS)) == {
        "METRICAT_COLLECTOR_NETDEV_DEVICE_EXCLUD": "METRICAT_COLLECTOR_NETDEV_DEVICE_EXCLUDE",
        "METRICAT_LOG_LEVLE": "METRICAT_LOG_LEVEL",
        "METRICAT_NO_COLLECTOR_CPU": "",
        "METRICAT_WEB_LISTEN_PORT": "METRICAT_WEB_LISTEN_ADDRESS",
        "METRICAT_WEB_SERVICE_PORT": "",
    }


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
    assert unknown_variables(environment, program(COLLECTORS)) == {}


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


def test_former_and_current_name_with_different_values_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"^--self\.cpu-budget=5: cannot be combined with --agent\.cpu-limit=4; rem"):
        parse(["--self.cpu-budget=5", "--agent.cpu-limit=4"], {}, COLLECTORS)
    with pytest.raises(
        SettingError, match=r"^self\.cpu-budget: 5 in .*, line 1: cannot be combined with agent\.cpu-lim"
    ):
        settings(tmp_path, "self: {cpu-budget: 5}\nagent: {cpu-limit: 4}")
    assert parse(["--self.cpu-budget=5", "--agent.cpu-limit=5"], {}, COLLECTORS).cpu_limit == 0.05


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
