"""Operator and agent share only command-line flags and metric names. These tests check that both sides agree."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.flags import collector_options
from metricat_agent.host.skips import EXPECTED
from metricat_agent.scrape.registry import FAMILIES
from metricat_operator.api import collector_flags
from metricat_operator.api.parse import parse
from metricat_operator.manifests import Context, build_children
from metricat_operator.manifests.daemon_set import arguments
from metricat_rules.anomaly import BASELINE
from metricat_rules.catalogue import CATALOGUE, RECORDINGS
from metricat_rules.recording import MEASURES
from support import operator_metrics
from support.certificates import self_signed

EVERYTHING: dict[str, Any] = {
    "agent": {
        "port": 0,
        "collectors": {
            "cpu": {"enabled": False},
            "loadavg": {"enabled": False},
            "meminfo": {"enabled": False},
            "diskstats": {"enabled": False, "excludeDevices": "^ram"},
            "netdev": {"enabled": False, "excludeDevices": "^veth"},
            "filesystem": {"enabled": False, "excludeMountPoints": "^/boot$", "excludeFSTypes": "^tmpfs$"},
            "processes": {"enabled": False, "top": 3, "hashNames": True},
            "textfile": {"enabled": False, "directories": ["/var/lib/node_exporter"]},
            "switches": dict.fromkeys(collector_flags.COLLECTORS, False),
            "flags": {
                **dict.fromkeys(collector_flags.PATTERN_FLAGS, ""),
                **dict.fromkeys(collector_flags.SWITCH_FLAGS, "true"),
                collector_flags.BACKEND_LABELS: "proto",
            },
        },
    }
}
INCLUDES: dict[str, Any] = {
    "agent": {
        "collectors": {
            "diskstats": {"includeDevices": "^nvme"},
            "netdev": {"includeDevices": "^lo$"},
            "filesystem": {"includeMountPoints": "^/$", "includeFSTypes": "^ext4$", "excludeFSTypes": ""},
            "processes": {"top": 1, "hashNames": True},
            "probe": {"enabled": False},
        },
    }
}
HOST = ("--path.procfs=/proc", "--path.sysfs=/sys", "--path.rootfs=/")


def agent(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "metricat_agent", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def flags(spec: dict[str, Any]) -> list[str]:
    parsed = parse({**spec, "agent": {**spec.get("agent", {}), "port": 9100}})
    assert parsed.spec is not None, parsed.errors
    # The paths are those of the pod; Kubernetes turns $$ into $.
    own = [flag for flag in arguments(parsed.spec.agent) if not flag.startswith("--path.")]
    return [flag.replace("$$", "$") for flag in own]


def test_the_agent_takes_the_secrets_as_the_daemon_set_mounts_them(tmp_path: Path) -> None:
    for name in ("server", "prometheus"):
        self_signed(tmp_path, name)
    web = {"tls": "server", "clientCA": "prometheus", "prometheusClient": "prometheus", "basicAuth": "login"}
    parsed = parse({"agent": {"web": {f"{field}SecretName": name for field, name in web.items()}}})
    assert parsed.spec is not None, parsed.errors
    [daemon_set] = [
        one for one in build_children(Context("n", "m", "uid", parsed.spec, "image")) if one["kind"] == "DaemonSet"
    ]
    pod = daemon_set["spec"]["template"]["spec"]
    [container] = pod["containers"]
    folders = {mount["name"]: tmp_path / mount["mountPath"].strip("/") for mount in container["volumeMounts"]}
    for volume in pod["volumes"]:
        for item in volume.get("secret", {}).get("items", ()):
            name, path = volume["secret"]["secretName"], folders[volume["name"]] / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = item["key"].partition(".")[2]
            path.write_text((tmp_path / f"{name}.{kind}").read_text() if kind else "anna")
    own = [flag for flag in container["args"] if re.match("--web.*-secret=", flag)]
    assert len(own) == 3
    done = agent(*HOST, *(flag.replace("=/", f"={tmp_path}/") for flag in own), "--once")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("spec", [{}, EVERYTHING, INCLUDES], ids=["defaults", "everything", "includes"])
def test_the_agent_takes_every_flag_that_the_operator_gives(spec: dict[str, Any]) -> None:
    done = agent(*HOST, *flags(spec), "--once")
    assert done.returncode == 0, done.stderr


def test_every_collector_and_each_of_its_flags_can_be_set_in_a_target() -> None:
    options = [option for name, collector in COLLECTORS.items() for option in collector_options(name, collector)]
    given = {
        flag.partition("=")[0].replace("--no-", "--") for spec in (EVERYTHING, INCLUDES, {}) for flag in flags(spec)
    }
    assert {one.name for one in options if f"--{one.name}" not in given} == {"collector.probe.config"}
    switches = {one.name.removeprefix("collector.") for one in options if one.switch}
    assert {name for name in switches if "." in name} == set(collector_flags.SWITCH_FLAGS)
    patterns = {one.name.removeprefix("collector.") for one in options if one.metavar == "REGEX"}
    assert set(collector_flags.PATTERN_FLAGS) <= patterns


def test_agent_rejects_an_unknown_flag() -> None:
    assert agent(*HOST, "--collector.nonsense", "--once").returncode == 2


def test_switches_and_patterns_reach_what_they_name() -> None:
    page = agent(*HOST, *flags({}), "--once").stdout
    for metric in ("node_cpu_seconds_total", "node_load1", "node_memory_MemTotal_bytes", "node_network_up"):
        assert f"\n{metric}" in page
    bare = agent(*HOST, *flags(EVERYTHING), "--once").stdout
    for metric in ("node_cpu_seconds_total", "node_load1", "node_memory_MemTotal_bytes", "node_filesystem_size_bytes"):
        assert f"\n{metric}" not in bare


def test_only_what_is_included_is_shown() -> None:
    page = agent(*HOST, *flags(INCLUDES), "--once").stdout
    assert re.findall(r'node_network_receive_bytes_total\{device="([^"]*)"', page) == ["lo"]


def test_the_defaults_of_the_processes_are_the_agents_own() -> None:
    own = {option.name: option.default for option in COLLECTORS["processes"].options}
    given = {flag for flag in flags({}) if flag.startswith("--collector.processes.")}
    assert given
    assert given <= {f"--collector.processes.{name}={value}" for name, value in own.items()}


def test_every_raw_metric_that_a_rule_reads_is_declared() -> None:
    declared = {family.name for collector in COLLECTORS.values() for family in collector.families}
    declared |= {family.name for family in FAMILIES}
    declared |= operator_metrics.names()
    texts = [recording.expr for recording in (*RECORDINGS, *BASELINE)]
    texts += [text for alert in CATALOGUE for text in (alert.expr, *(level.expr for level in alert.levels))]
    texts += [alert.description for alert in CATALOGUE]
    texts += [name for name in MEASURES.values() if not name.startswith("metricat:")]
    read = {name for text in texts for name in re.findall(r"(?<![\w:])(?:node|metricat)_\w+", text)}
    assert {"node_cpu_seconds_total", "metricat_process_cpu_ratio"} <= read
    assert read <= declared


def test_alert_about_incomplete_collectors_ignores_the_reasons_that_the_agent_expects() -> None:
    [alert] = [alert for alert in CATALOGUE if alert.name == "NodeCollectorIncomplete"]
    ignored = re.findall(r'reason!~"([^"]*)"', str(alert))
    assert ignored
    assert all(set(reasons.split("|")) == EXPECTED for reasons in ignored)
