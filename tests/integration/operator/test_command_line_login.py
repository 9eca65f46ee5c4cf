"""The commands that query a Prometheus, with a real Prometheus that requires a password."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from metricat_cli.__main__ import main
from support.harness import Cluster, target
from support.prometheus_server import prometheus

# bcrypt of "hunter2", cost 4
HASH = "$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm"
REFUSED = "returned 401: Unauthorized. It requires other credentials. Set --http.config.file to a file with basic_auth"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that only anna may query."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "web.yaml").write_text(f"basic_auth_users: {{anna: '{HASH}'}}")
    with prometheus(folder, "scrape_configs: []", "--web.config.file=web.yaml") as running:
        yield f"http://127.0.0.1:{running.port}"


@pytest.fixture
def login(tmp_path: Path) -> str:
    (tmp_path / "password").write_text("hunter2\n")
    file = tmp_path / "http.yaml"
    file.write_text("basic_auth: {username: anna, password_file: password}\n")
    return f"--http.config.file={file}"


@pytest.fixture(autouse=True)
def kubeconfig(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    cluster.apply(target(namespace))


def test_alerts(url: str, login: str, namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["alerts", "-n", namespace, "--prometheus", url]
    assert main(arguments) == 1
    assert f"{url} {REFUSED}" in capsys.readouterr().err
    assert main([*arguments, login]) == 0
    assert capsys.readouterr().out == "No alert fires.\n"
    assert main([*arguments, "--header", "Authorization: Basic YW5uYTpodW50ZXIy"]) == 0
    capsys.readouterr()
    assert main([*arguments, "--header", "Authorization: Basic YW5uYTp3cm9uZw=="]) == 1
    assert f"{url} {REFUSED}" in capsys.readouterr().err


def test_check(url: str, login: str, namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    def message(*arguments: str) -> str:
        main(["check", "-n", namespace, "--prometheus", url, "--no-target", "-o", "json", *arguments])
        checks = json.loads(capsys.readouterr().out)["checks"]
        return next(str(one["message"]) for one in checks if one["name"] == "Prometheus returns a sample of a node")

    assert REFUSED in message()
    assert message(login).startswith(f"{url} has no sample up{{")


def test_backtest(url: str, login: str, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "target.yaml"
    file.write_text(yaml.safe_dump(target(namespace)))
    arguments = ["backtest", "-f", str(file), "--prometheus", url]
    assert main(arguments) == 1
    assert f"{url} {REFUSED}" in capsys.readouterr().err
    assert main([*arguments, login]) == 1
    assert f"{url} has no history of MonitoringTarget {namespace}/nodes" in capsys.readouterr().err


def test_bundle(url: str, login: str, namespace: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bundle", "-n", namespace, "--dry-run", "--prometheus", url]
    name = f"targets/{namespace}/nodes/prometheus-targets.yaml"
    assert main(arguments) == 0
    assert f"{name}: {url} {REFUSED}" in capsys.readouterr().out
    assert main([*arguments, login]) == 0
    shown = capsys.readouterr().out
    assert name in shown
    assert REFUSED not in shown
