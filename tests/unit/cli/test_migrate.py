"""MonitoringTargets from the values of node_exporter's chart and of kube-prometheus-stack."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_agent.config import node_exporter_flags
from metricat_cli.__main__ import main
from metricat_cli.migration import Outcome, migrate
from metricat_cli.node_exporter_chart import ABSENT

STACK: dict[str, Any] = {
    "prometheus": {
        "prometheusSpec": {
            "serviceMonitorSelector": {"matchLabels": {"team": "a"}},
            "ruleSelectorNilUsesHelmValues": False,
        }
    },
    "prometheus-node-exporter": {
        "resources": {"limits": {"memory": "200Mi", "ephemeral-storage": "1Gi"}},
        "tolerations": [{"effect": "NoSchedule", "operator": "Exists"}],
        "nodeSelector": {"kubernetes.io/os": "linux", "disk": "ssd"},
        "prometheus": {"monitor": {"interval": "30s", "additionalLabels": {"b": "c"}, "bearerTokenFile": "/x"}},
        "affinity": {},
        "sidecars": [{"name": "x"}],
        "kubeRBACProxy": {"enabled": False},
        "hostNetwork": True,
        "new": 1,
    },
}


def outcome(*arguments: str) -> tuple[dict[str, Any], dict[str, Outcome]]:
    """Return the spec from these `extraArgs`, and the outcome of each."""
    done = migrate({"extraArgs": list(arguments)})
    return done.spec, {one.value.removeprefix("extraArgs: "): one.outcome for one in done.notes}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (
            "--collector.filesystem.mount-points-exclude=^/(dev|proc)($|/)",
            {"agent": {"collectors": {"filesystem": {"excludeMountPoints": "^/(dev|proc)($|/)"}}}},
        ),
        (
            "--collector.filesystem.ignored-fs-types=^tmpfs$",
            {"agent": {"collectors": {"filesystem": {"excludeFSTypes": "^tmpfs$"}}}},
        ),
        (
            "--collector.netdev.device-include=^eth",
            {"agent": {"collectors": {"netdev": {"includeDevices": "^eth"}}}},
        ),
        (
            "--collector.diskstats.device-exclude=^ram",
            {"agent": {"collectors": {"diskstats": {"excludeDevices": "^ram"}}}},
        ),
        ("--no-collector.netdev", {"agent": {"collectors": {"netdev": {"enabled": False}}}}),
        ("--collector.processes", {"agent": {"collectors": {"processes": {"enabled": True}}}}),
        ("--web.listen-address=[::]:9101", {"agent": {"port": 9101}}),
    ],
)
def test_common_flags_become_fields(argument: str, expected: dict[str, Any]) -> None:
    spec, outcomes = outcome(argument)
    assert spec == expected
    assert outcomes == {argument: Outcome.CARRIED}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--collector.systemd", Outcome.LOST),
        ("--no-collector.wifi", Outcome.UNNEEDED),
        ("--collector.systemd.unit-include=x", Outcome.UNNEEDED),
        ("--path.rootfs=/host/root", Outcome.UNNEEDED),
        ("--web.config.file=/etc/web.yml", Outcome.LOST),
        ("--log.level=debug", Outcome.LOST),
        ("--collector.filesystem.mount-points-exclude=(", Outcome.LOST),
        ("--web.listen-address=:http", Outcome.LOST),
        ("--unheard-of", Outcome.LOST),
    ],
)
def test_other_flags_change_nothing_and_have_a_reason(argument: str, expected: Outcome) -> None:
    spec, outcomes = outcome(argument)
    assert spec == {}
    assert outcomes == {argument: expected}


def test_value_of_a_flag_may_be_the_next_argument() -> None:
    spec, _ = outcome("--collector.netdev.device-exclude", "^veth", "--no-collector.loadavg")
    assert spec["agent"]["collectors"] == {"netdev": {"excludeDevices": "^veth"}, "loadavg": {"enabled": False}}


def test_collectors_that_the_agent_lacks_are_those_of_its_flags() -> None:
    assert set(node_exporter_flags._ABSENT) == ABSENT


def test_values_of_kube_prometheus_stack() -> None:
    done = migrate(STACK)
    assert done.spec == {
        "nodeSelector": {"matchLabels": {"disk": "ssd"}},
        "agent": {
            "resources": {"limits": {"memory": "200Mi"}},
            "tolerations": [{"effect": "NoSchedule", "operator": "Exists"}],
        },
        "monitor": {"interval": "30s", "labels": {"team": "a", "b": "c"}},
    }
    lost = {
        one.value.removeprefix("prometheus-node-exporter."): one.message
        for one in done.notes
        if one.outcome is Outcome.LOST
    }
    assert lost == {
        "resources.limits.ephemeral-storage": "spec.agent.resources.limits.ephemeral-storage does not exist in this "
        "version of Metricat.",
        "prometheus.monitor.bearerTokenFile": "Protect the agents with spec.agent.web.",
        "sidecars": "Agents have no sidecars. Use a DaemonSet of your own.",
        "new": "Metricat has no mapping for this value. Check its effect in the chart.",
    }


def test_release_of_kube_prometheus_stack_gives_the_label() -> None:
    assert migrate({"nodeExporter": {}}, "kps").spec == {
        "monitor": {"labels": {"release": "kps"}},
        "alerts": {"labels": {"release": "kps"}},
    }


def test_migrated_target_is_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(STACK)))
    assert main(["migrate", "-", "-n", "team", "--name", "all"]) == 0
    printed = capsys.readouterr()
    assert "not carried over: prometheus-node-exporter.sidecars: " in printed.err
    file = tmp_path / "target.yaml"
    file.write_text(printed.out)
    assert yaml.safe_load(printed.out)["metadata"] == {"name": "all", "namespace": "team"}
    assert main(["validate", str(file)]) == 0


def test_strict_fails_if_a_value_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("{sidecars: [{name: x}], hostNetwork: true}")
    assert main(["migrate", str(file), "-o", "json", "--strict"]) == 1
    printed = capsys.readouterr()
    assert [one["outcome"] for one in json.loads(printed.out)["values"]] == ["not carried over", "not needed"]
    assert "1 of 2 values cannot be carried over" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give exactly one of FILE and --release"),
        (["x", "--release", "y"], "give exactly one of FILE and --release"),
        (["/no/such"], "cannot read /no/such: the file does not exist. Check the path"),
    ],
)
def test_wrong_arguments_name_the_remedy(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate", *arguments]) in (1, 2)
    assert message in capsys.readouterr().err


def test_switches_flags_text_files_and_mounts_are_carried_over() -> None:
    values = {
        "extraArgs": [
            "--collector.tcpstat",
            "--no-collector.hwmon",
            "--collector.hwmon.chip-exclude=^acpitz$",
            "--collector.cpu.info",
            "--collector.textfile.directory=/host/root/var/lib/node_exporter",
        ],
        "extraHostVolumeMounts": [
            {"name": "data", "hostPath": "/srv/data", "mountPath": "/srv/data", "readOnly": False},
        ],
    }
    done = migrate(values)
    assert done.spec["agent"] == {
        "collectors": {
            "switches": {"tcpstat": True, "hwmon": False},
            "flags": {"hwmon.chip-exclude": "^acpitz$", "cpu.info": "true"},
            "textfile": {"directories": ["/var/lib/node_exporter"]},
        },
        "extraMounts": [{"hostPath": "/srv/data", "mountPath": "/srv/data"}],
    }
    lost = [one for one in done.notes if one.outcome != Outcome.CARRIED]
    assert [(one.value, one.message) for one in lost] == [
        ("extraHostVolumeMounts.data.readOnly", "Agents mount paths of the node read-only.")
    ]


def test_labels_of_a_stack_without_a_known_release_are_left_to_the_operator() -> None:
    done = migrate({"nodeExporter": {"enabled": True}})
    assert done.spec == {}
    assert {(one.value, one.outcome) for one in done.notes} == {
        ("prometheus.prometheusSpec.serviceMonitorSelector", Outcome.UNNEEDED),
        ("prometheus.prometheusSpec.ruleSelector", Outcome.UNNEEDED),
    }


def test_wrong_type_of_arguments_is_named() -> None:
    [note] = migrate({"extraArgs": 5}).notes
    assert (note.value, note.outcome) == ("extraArgs", Outcome.LOST)
    assert note.message == "The chart expects a list of flags. Correct the values."
