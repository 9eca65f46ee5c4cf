"""Command lines of node_exporter work unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import Filter, arp, hwmon, pattern
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.node_exporter_flags import translate
from metricat_agent.config.settings import SettingError, Settings, parse

if TYPE_CHECKING:
    from collections.abc import Iterator


FLAGS = (Path(__file__).parents[3] / "fixtures" / "node_exporter" / "flags.txt").read_text().split()
SAMPLES = {
    "log.format": "logfmt",
    "log.level": "WARN",
    "path.procfs": "/proc",
    "path.rootfs": "/",
    "path.sysfs": "/sys",
    "path.udev.data": "/nonexistent/udev",
    "web.config.file": "web.yml",
    "web.listen-address": "localhost:9100",
    "web.max-requests": "0",
    "web.telemetry-path": "/",
    "collector.ipvs.backend-labels": "proto",
}
PRINTING = ("help", "version")
UNSUPPORTED = (
    *("collector.netclass_rtnl.with-stats", "collector.netdev.address-info", "collector.netdev.label-ifalias"),
    *("collector.netdev.enable-detailed-metrics", "web.systemd-socket"),
)
ABSENT = (
    *(
        "buddyinfo",
        "cgroups",
        "cpu_vulnerabilities",
        "drbd",
        "drm",
        "ethtool",
        "interrupts",
        "ksmd",
        "lnstat",
        "logind",
    ),
    *("meminfo_numa", "mountstats", "network_route", "ntp", "nvmesubsystem", "pcidevice", "perf", "qdisc", "runit"),
    *("slabinfo", "softirqs", "supervisord", "swap", "sysctl", "systemd", "wifi", "xfrm", "zoneinfo"),
)
REJECTED = {f"--{name}" for name in (*UNSUPPORTED, *(f"collector.{name}" for name in ABSENT))}


def parsed(*line: str) -> Settings:
    return parse(translate(line)[0], {}, COLLECTORS)


def forms(flag: str) -> Iterator[list[str]]:
    """Yield the forms in which kingpin accepts a flag."""
    name = flag.removeprefix("[no-]").removesuffix("=")
    if flag.endswith("="):
        value = SAMPLES.get(name, "^x$")
        yield [f"--{name}={value}"]
        yield [f"--{name}", value]
    else:
        yield [f"--{name}"]
        yield [f"--no-{name}"]


def test_collectors_that_the_agent_has_are_not_listed_as_absent() -> None:
    assert not set(ABSENT) & COLLECTORS.keys()


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_works_in_every_form_or_is_known_to_be_rejected(flag: str) -> None:
    for form in forms(flag):
        if form[0] in REJECTED:
            with pytest.raises(SettingError, match=rf"^{form[0]}: the agent .*; remove the flag$"):
                parsed(*form)
        elif flag.removeprefix("[no-]") in PRINTING:
            with pytest.raises(SystemExit, match="0"):
                parsed(*form)
        else:
            parsed(*form)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("collector.diskstats.ignored-devices", "collector.diskstats.device-exclude"),
        ("collector.filesystem.ignored-fs-types", "collector.filesystem.fs-types-exclude"),
        ("collector.filesystem.ignored-mount-points", "collector.filesystem.mount-points-exclude"),
        ("collector.netdev.device-blacklist", "collector.netdev.device-exclude"),
        ("collector.netdev.device-whitelist", "collector.netdev.device-include"),
        ("collector.powersupply.ignored-supplies", "collector.powersupplyclass.ignored-supplies"),
    ],
)
def test_deprecated_filter_has_the_effect_of_the_current_one(old: str, new: str) -> None:
    for value in ("^x$", ""):
        assert parsed(f"--{old}={value}").collectors == parsed(f"--{new}={value}").collectors


def test_exporter_metrics_are_on_unless_disabled() -> None:
    assert "agent" not in parsed("--web.disable-exporter-metrics").collectors
    assert "agent" in parsed("--no-web.disable-exporter-metrics").collectors


def test_file_of_arguments_is_read_as_kingpin_does(tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("--log.level\nwarn\n")
    (tmp_path / "outer").write_text(
        f"# a comment\n\n   \n--collector.netdev.device-exclude=^a\u2028 #b\r\n@{tmp_path}/inner\n--no-collector.drbd"
    )
    arguments, notes = translate([f"@{tmp_path}/outer", "--collector.tcpstat"])
    assert arguments == [
        *("--collector.netdev.device-exclude=^a\u2028 #b", "--log.level", "warn", "--collector.tcpstat")
    ]
    assert len(notes) == 1
    assert translate(["--", f"@{tmp_path}/outer"])[0] == ["--", f"@{tmp_path}/outer"]


def test_file_of_arguments_that_names_itself_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "loop").write_text(f"@{tmp_path}/loop\n")
    with pytest.raises(SettingError, match=r"^@.*/loop: more than 10 files name each other; give the arguments in one"):
        translate([f"@{tmp_path}/loop"])


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


@pytest.mark.parametrize(
    ("line", "note"),
    [
        (["--no-collector.drbd"], "--no-collector.drbd has no effect: the agent has no collector drbd"),
        (["--no-collector.thermal"], "--no-collector.thermal has no effect: the agent has no collector thermal"),
        (["--runtime.gomaxprocs", "2"], "--runtime.gomaxprocs has no effect: the agent has no Go runtime"),
        (
            ["--collector.filesystem.mount-timeout=5s"],
            "--collector.filesystem.mount-timeout has no effect: the agent has its own time limits",
        ),
        (
            ["--no-collector.netdev.netlink"],
            "--no-collector.netdev.netlink has no effect: the agent reads the kernel's f",
        ),
        (
            ["--no-collector.netdev.label-ifalias"],
            "--no-collector.netdev.label-ifalias has no effect: the agent does not",
        ),
        (
            ["--collector.systemd.unit-include", ".+"],
            "--collector.systemd.unit-include has no effect: the agent has no co",
        ),
        (
            ["--no-collector.perf.disable-cache-profilers"],
            "--no-collector.perf.disable-cache-profilers has no effect: ",
        ),
    ],
)
def test_flags_without_effect_are_dropped_with_a_note(line: list[str], note: str) -> None:
    arguments, notes = translate([*line, "--collector.tcpstat"])
    assert arguments == ["--collector.tcpstat"]
    assert len(notes) == 1
    assert notes[0].startswith(note)


@pytest.mark.parametrize("line", [["--log.format=logfmt"], ["--log.format", "logfmt"]])
def test_log_format_logfmt_becomes_text(line: list[str]) -> None:
    assert parsed(*line, "--log.level=debug").log_format == "text"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (["--collector.drbd"], "^--collector.drbd: the agent has no collector drbd; remove the flag$"),
        (["--collector.netdev.address-info"], "^--collector.netdev.address-info: the agent does not expose addresses"),
        (["--web.systemd-socket"], "^--web.systemd-socket: the agent opens its sockets itself, .*; remove the flag$"),
        (["--no-collector.zfz"], "^--no-collector.zfz: unknown setting; did you mean --no-collector.zfs"),
        (["--collector.cpu.guest=false"], "^--collector.cpu.guest=false: takes no value; write --collector.cpu.guest$"),
        (["--runtime.gomaxprocs"], "^--runtime.gomaxprocs: missing value; write --runtime.gomaxprocs=VALUE"),
        (["--collector.sysctl.include", "--no-collector.drbd"], "^--collector.sysctl.include: missing value"),
        (["--collector.systemd.unit-inclde=x"], "^--collector.systemd.unit-inclde: unknown setting"),
        (["@/nowhere"], "^@/nowhere: cannot be read: .*; give a file with one argument per line"),
        (["@"], "^@: cannot be read: "),
        (
            ["--collector.netdev.device-blacklist=^a", "--collector.netdev.device-exclude=^b"],
            "^--collector.netdev.device-blacklist=.a: cannot be combined with --collector.netdev.device-exclude=.b",
        ),
        (
            ["--collector.netdev.device-blacklist=^a", "--collector.netdev.device-whitelist=^b"],
            "^--collector.netdev.device-whitelist=.b: cannot be combined with --collector.netdev.device-blacklist=.a",
        ),
        (["--web.disable-exporter-metrics", "--no-web.disable-exporter-metrics"], "cannot be combined"),
    ],
)
def test_flag_that_the_agent_cannot_follow_is_rejected_with_a_remedy(line: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parsed(*line)


def test_filters_of_arp_and_hwmon_work() -> None:
    given = parse(["--collector.arp.device-exclude=^veth", "--collector.hwmon.chip-include=^a$"], {}, COLLECTORS)
    table = "IP HW Device\n10.0.0.1 0x1 0x2 00:00 * eth0\n10.0.0.2 0x1 0x2 00:00 * veth1\n"
    [(_, entries)] = arp.parse(table, given.collectors["arp"].filters["device-exclude"])
    assert entries == [(("eth0",), 1)]
    chips = [hwmon.Chip(key, key, key, {"temp1_input": "1000"}) for key in "ab"]
    found = hwmon.parse(chips, Filter(), given.collectors["hwmon"].filters["chip-exclude"])
    assert {labels[0] for _, samples in found for labels, _ in samples} == {"a"}
    assert arp.parse(table, Filter(exclude=pattern("."))) == [(arp.ENTRIES, [])]
