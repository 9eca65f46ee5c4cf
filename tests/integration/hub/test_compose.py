"""The compose file: docker compose accepts it, and its services have only the permissions that they need."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.flags import program
from metricat_hub.config.options import HUB
from metricat_tools.binaries import ensure
from support.paths import CHART, ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "hub" / "packaging" / "compose"
VARIABLES = {"POSTGRES_PASSWORD": "p" * 48, "GRAFANA_PASSWORD": "g" * 48, "NODE_NAME": "web-1"}
ADDED = {"keys": ["SETGID", "SETUID"]}
"""Capabilities of services. The others have none."""


def compose(*arguments: str, variables: dict[str, str], env_file: str = os.devnull) -> subprocess.CompletedProcess[str]:
    command = (
        str(ensure("docker-compose")["docker-compose"]),
        f"--project-directory={FOLDER}",
        f"--env-file={env_file}",
    )
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    return subprocess.run(
        [*command, f"--file={FOLDER / 'compose.yaml'}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """The file as docker compose reads it."""
    done = compose("config", "--format=json", variables=VARIABLES)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def services(project: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = project["services"]
    return found


def test_project_has_agent_hub_database_and_grafana(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"hub", "keys", "agent", "timescaledb", "grafana"}


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "NODE_NAME"])
def test_missing_variable_is_an_error_with_its_remedy(name: str) -> None:
    done = compose("config", variables={one: value for one, value in VARIABLES.items() if one != name})
    assert done.returncode != 0
    assert name in done.stderr
    assert "into .env" in done.stderr


def test_example_has_every_variable(tmp_path: Path) -> None:
    example = (FOLDER / "example.env").read_text()
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == set(VARIABLES)
    (tmp_path / "env").write_text(re.sub(r"=$", "=x", example, flags=re.MULTILINE))
    done = compose("config", "--quiet", variables={}, env_file=str(tmp_path / "env"))
    assert (done.returncode, done.stderr) == (0, "")


def test_services_are_read_only_without_privileges(services: dict[str, dict[str, Any]]) -> None:
    for name, one in services.items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert sorted(one.get("cap_add", [])) == ADDED.get(name, []), name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        forbidden = {"privileged", "devices", "pid", "ipc", "userns_mode", "cgroup_parent"}
        assert forbidden & set(one) == set(), name
        assert one.get("network_mode") in (None, "none"), name
        for mount in one.get("volumes", []):
            assert mount["type"] == "volume" or mount["read_only"], (name, mount)
            assert "docker.sock" not in mount["source"], name


def test_images_are_pinned_and_services_are_checked(services: dict[str, dict[str, Any]]) -> None:
    for name, one in services.items():
        assert re.fullmatch(r"[\w/]+:\d+\.\d+\.\d+(-\w+)?", one["image"]), one["image"]
        if name != "keys":
            assert one["healthcheck"]["test"], name
            assert one["restart"] == "unless-stopped", name
            assert one["mem_limit"], name


def test_ports_are_open_for_this_machine_only(services: dict[str, dict[str, Any]]) -> None:
    published = {
        name: [(port["host_ip"], port["published"]) for port in one.get("ports", [])] for name, one in services.items()
    }
    assert {name: ports for name, ports in published.items() if ports} == {
        "hub": [("127.0.0.1", "8428")],
        "grafana": [("127.0.0.1", "3000")],
    }


def test_settings_exist(services: dict[str, dict[str, Any]]) -> None:
    variables = {HUB.variable(name) for name in HUB.options}
    assert {name for name in services["hub"]["environment"] if name not in variables} == set()
    for name, one in (("hub", HUB), ("agent", program(COLLECTORS))):
        flags = {word.partition("=")[0].removeprefix("--") for word in services[name]["command"]}
        assert flags - set(one.options) == set()


def test_keys_reach_their_service_only(services: dict[str, dict[str, Any]]) -> None:
    mounts = {
        name: {
            mount["source"]: mount.get("read_only", False)
            for mount in one.get("volumes", [])
            if mount["type"] == "volume"
        }
        for name, one in services.items()
    }
    assert mounts["agent"] == {"agent-key": True}
    assert mounts["grafana"] == {"grafana": False, "grafana-key": True}
    assert mounts["hub"] == {"hub": False}
    password = VARIABLES["POSTGRES_PASSWORD"]
    assert {name for name, one in services.items() if password in json.dumps(one)} == {"hub"}


def test_grafana_gets_the_hub_as_data_source_and_our_dashboards(services: dict[str, dict[str, Any]]) -> None:
    [source] = yaml.safe_load((FOLDER / "grafana" / "datasources" / "metricat.yaml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://hub:8428", True)
    [provider] = yaml.safe_load((FOLDER / "grafana" / "dashboards" / "metricat.yaml").read_text())["providers"]
    sources = {mount["target"]: mount["source"] for mount in services["grafana"]["volumes"]}
    assert sources[provider["options"]["path"]] == str(CHART / "dashboards")
