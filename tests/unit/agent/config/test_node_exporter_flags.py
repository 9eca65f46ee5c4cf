"""Command lines of node_exporter work unchanged."""

from __future__ import annotations

import pytest

from metricat_agent.collectors import Filter, arp, hwmon, pattern
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.node_exporter_flags import translate
from metricat_agent.config.settings import SettingError, parse


def test_flags_with_other_names_are_translated() -> None:
    arguments, notes = translate(
        ["--collector.powersupply.ignored-supplies=^BAT", "--web.disable-exporter-metrics", "--collector.tcpstat"]
    )
    assert arguments == [
        "--collector.powersupplyclass.ignored-supplies=^BAT",
        "--no-collector.agent",
        "--collector.tcpstat",
    ]
    assert notes == []
    assert "agent" not in parse(arguments, {}, COLLECTORS).collectors


def test_flags_without_effect_are_dropped_with_a_note() -> None:
    arguments, notes = translate(
        [
            *("--no-collector.drbd", "--collector.netclass.ignore-invalid-speed", "--runtime.gomaxprocs=1"),
            *("--no-collector.netdev.netlink", "--collector.arp.netlink", "--collector.cpu.guest"),
        ]
    )
    assert arguments == []
    assert notes[0] == "--no-collector.drbd has no effect: the agent has no such collector"
    assert notes[3] == "--no-collector.netdev.netlink has no effect: the agent reads the kernel's files instead"
    assert len(notes) == 6


def test_log_format_logfmt_becomes_text() -> None:
    arguments, _ = translate(["--log.format=logfmt", "--log.level=debug"])
    assert parse(arguments, {}, COLLECTORS).log_format == "text"


@pytest.mark.parametrize("argument", ["--collector.drbd", "--no-collector.zfz"])
def test_missing_and_unknown_collectors_are_rejected(argument: str) -> None:
    arguments, notes = translate([argument])
    assert notes == []
    with pytest.raises(SettingError):
        parse(arguments, {}, COLLECTORS)


def test_filters_of_arp_and_hwmon_work() -> None:
    given = parse(["--collector.arp.device-exclude=^veth", "--collector.hwmon.chip-include=^a$"], {}, COLLECTORS)
    table = "IP HW Device\n10.0.0.1 x eth0\n10.0.0.2 x veth1\n"
    [(_, entries)] = arp.parse(table, given.collectors["arp"].filters["device-exclude"])
    assert entries == [(("eth0",), 1)]
    chips = [hwmon.Chip(key, key, key, {"temp1_input": "1000"}) for key in "ab"]
    found = hwmon.parse(chips, Filter(), given.collectors["hwmon"].filters["chip-exclude"])
    assert {labels[0] for _, samples in found for labels, _ in samples} == {"a"}
    assert arp.parse(table, Filter(exclude=pattern("."))) == [(arp.ENTRIES, [])]
