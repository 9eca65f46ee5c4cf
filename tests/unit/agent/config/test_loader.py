"""Flags outweigh the file, the file outweighs the environment; what cannot be used is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.flags import every
from metricat_agent.config.settings import SettingError, Settings, parse

if TYPE_CHECKING:
    from pathlib import Path

FLAG, FILE, VARIABLE = "--log.level=error", "log: {level: warn}", {"METRICAT_LOG_LEVEL": "debug"}


def settings(tmp_path: Path, content: str, *arguments: str, **environment: str) -> Settings:
    file = tmp_path / "agent.yaml"
    file.write_text(content)
    return parse([f"--config.file={file}", *arguments], environment, COLLECTORS)


def test_the_order_of_weight(tmp_path: Path) -> None:
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
def test_ways_to_write_the_file(tmp_path: Path, content: str) -> None:
    given = settings(tmp_path, content, LETTER="x")
    assert "cpu" not in given.collectors
    assert not given.collectors["netdev"].filters["device-exclude"].keeps("x1")
    assert given.collectors["netdev"].filters["device-exclude"].keeps("veth1")


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "agent.yaml"
    file.write_text("web: {listen-address: [':1', '[::1]:2'], access-log: true}")
    given = parse([], {"METRICAT_CONFIG_FILE": str(file)}, COLLECTORS)
    assert [str(address) for address in given.listen] == [":1", "[::1]:2"]
    assert given.access_log


def test_switches_in_the_environment() -> None:
    environment = {"METRICAT_COLLECTOR_CPU": "false", "METRICAT_OPERATOR_SERVICE_HOST": "10.0.0.1"}
    assert "cpu" not in parse([], environment, COLLECTORS).collectors
    assert "cpu" in parse(["--collector.cpu"], environment, COLLECTORS).collectors


def test_a_dollar_before_braces_is_kept_when_doubled(tmp_path: Path) -> None:
    given = settings(tmp_path, "collector.netdev.device-exclude: '^a$${B}|c$'")
    pattern = given.collectors["netdev"].filters["device-exclude"].exclude
    assert pattern is not None
    assert pattern.pattern == "^a${B}|c$"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("log: {level: loud}", r"^log\.level: loud in .*agent\.yaml: .*write debug"),
        ("log: {levl: info}", r"log\.levl in .*: no such setting"),
        ("config: {file: other.yaml}", r"config\.file in .*: no such setting"),
        ("web: {listen-address: [':1', '${TOKEN}']}", r"^web\.listen-address: :1, \$\{TOKEN\} in .*: not an address"),
        ("[1, 2]", r"--config\.file=.*: not a mapping"),
        ("log: &log {level: *log}", r"--config\.file=.*: nested too deep, or in itself"),
        ("[" * 3000, r"--config\.file=.*: nested too deep"),
        ("a: {b: [", r"--config\.file=.*: cannot be read as YAML: .* in line 1"),
        ("log.level: ${SECRET_TOKEN}", r"there is no SECRET_TOKEN in the environment"),
        ("log.level: ${TOKEN}", r"^log\.level: \$\{TOKEN\} in [^:]*: [^:]*$"),
        (
            "self: {cpu-budget: lots}",
            r"self\.cpu-budget: lots in .*: not a number from 0\.1 to 100; write one such as 2",
        ),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(SettingError, match=said) as caught:
        settings(tmp_path, content, TOKEN="s3cr3t")
    assert "s3cr3t" not in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(SettingError, match=r"--config\.file=/nowhere: cannot be read: No such .*; name a file"):
        parse(["--config.file=/nowhere"], {}, COLLECTORS)


def test_a_bad_variable_is_named() -> None:
    with pytest.raises(SettingError, match=r"METRICAT_COLLECTOR_CPU=maybe: neither on nor off"):
        parse([], {"METRICAT_COLLECTOR_CPU": "maybe"}, COLLECTORS)


def test_no_two_settings_share_a_name() -> None:
    options = list(every(COLLECTORS))
    assert len({option.name for option in options}) == len({option.variable for option in options}) == len(options)
