"""Collectors and flags of collectors that have no field of their own."""

from typing import Any

import pytest

from metricat_operator.api.parse import parse
from metricat_operator.api.pools import resolve
from metricat_operator.manifests.daemon_set import arguments


def collectors(**fields: Any) -> dict[str, Any]:
    return {"agent": {"collectors": fields}}


def test_switches_and_flags_become_arguments_of_the_agent() -> None:
    spec = parse(
        collectors(
            switches={"tcpstat": True, "arp": False},
            flags={"cpu.info": "true", "stat.softirq": "false", "hwmon.chip-exclude": "^a$"},
            textfile={"directories": ["/var/lib/prom"]},
        )
    ).spec
    assert spec is not None
    found = arguments(spec.agent)
    for argument in (
        "--collector.tcpstat",
        "--no-collector.arp",
        "--collector.cpu.info",
        "--no-collector.stat.softirq",
        "--collector.hwmon.chip-exclude=^a$$",
        "--collector.textfile.directory=/host/root/var/lib/prom",
    ):
        assert argument in found


def test_pool_overrides_single_switches_and_flags() -> None:
    pool = {
        "name": "gpu",
        "nodeSelector": {"matchLabels": {"gpu": "true"}},
        **collectors(switches={"arp": True}, flags={"netstat.fields": "b"}),
    }
    base = collectors(switches={"arp": False, "zfs": False}, flags={"netstat.fields": "a", "vmstat.fields": "c"})
    spec = parse({**base, "pools": [pool]}).spec
    assert spec is not None
    merged = resolve(spec)[0].agent.collectors
    assert merged.switches == {"arp": True, "zfs": False}
    assert merged.flags == {"netstat.fields": "b", "vmstat.fields": "c"}


def test_own_pattern_of_netclass_replaces_that_of_netdev() -> None:
    spec = parse(collectors(netdev={"excludeDevices": "a"}, flags={"netclass.ignored-devices": "b"})).spec
    assert spec is not None
    found = [one for one in arguments(spec.agent) if "netclass" in one]
    assert found == ["--collector.netclass.ignored-devices=b"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"switches": {"cpu": False}}, "cpu is not a collector that switches can set"),
        ({"flags": {"perf.cpus": "1"}}, "perf.cpus is not a flag that flags can set"),
        ({"flags": {"hwmon.chip-exclude": "("}}, "'(' is not a regular expression"),
        ({"flags": {"cpu.info": "yes"}}, "cpu.info: 'yes' is not a boolean. Write 'true' or 'false'."),
        ({"flags": {"ipvs.backend-labels": "proto,port"}}, "has an unknown label"),
        (
            {"flags": {"arp.device-exclude": "a", "arp.device-include": "b"}},
            "arp.device-exclude and arp.device-include cannot be combined",
        ),
    ],
)
def test_wrong_switch_or_flag_is_refused(fields: dict[str, Any], message: str) -> None:
    [error] = parse(collectors(**fields)).errors
    assert message in error


@pytest.mark.parametrize("path", ["/etc", "/host/root/x", "/usr/lib", "relative", "/a/../b", "/"])
def test_mount_over_the_files_of_the_agent_is_refused(path: str) -> None:
    assert parse({"agent": {"extraMounts": [{"hostPath": "/run", "mountPath": path}]}}).errors
