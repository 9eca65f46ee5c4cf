"""The programs `metricat up` and `metricat hub`: start, stop, the lock, keys, TLS, and wrong settings."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import ssl
import stat
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from support import hub_process
from support.certificates import self_signed
from support.hub_process import finished as metricat
from support.hub_process import send

ALLOWED_PACKAGES = {
    "anyio",
    "click",  # uvicorn imports it
    "cramjam",
    "cython_runtime",
    "httptools",
    "isal",  # if it is installed
    "metricat_agent",
    "metricat_cli",
    "metricat_hub",
    "metricat_rules",
    "msgspec",
    "numpy",
    "pcodec",
    "prometheus_client",
    "re2",
    "sitecustomize",  # of Debian's Python
    "starlette",
    "typing_extensions",
    "uvicorn",
    "yaml",
}
"""Third-party packages that the hub imports with default settings."""


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def eventually(condition: object, seconds: float = 60) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_up_measures_restarts_its_agent_and_ends_with_it(tmp_path: Path) -> None:
    with hub_process.running(tmp_path / "data", "--server.id=web-1", subcommand=("up",)) as hub:
        assert eventually(lambda: bool(hub.get("/api/v1/query", query="node_load1").json["data"]["result"]))
        [found] = hub.get("/api/v1/query", query="up").json["data"]["result"]
        assert found["metric"] == {
            "__name__": "up",
            "job": "metricat",
            "instance": "web-1",
            "namespace": "local",
            "node": "web-1",
            "pool": "default",
            "service": "metricat",
        }
        [node] = hub.get("/api/nodes").json["data"]
        assert (node["node"], node["status"]) == ("web-1", "up")
        [agent] = children(hub.process.pid)
        os.kill(agent, signal.SIGKILL)
        assert eventually(lambda: children(hub.process.pid) not in ([], [agent]))
        [agent] = children(hub.process.pid)
        status, output, error = metricat("up", f"--data={tmp_path / 'data'}", "--listen=127.0.0.1:0")
        assert (status, output) == (1, "")
        assert str(hub.process.pid) in error
        hub.process.send_signal(signal.SIGINT)
        assert hub.process.wait(30) == 0
        assert not is_running(agent)
    with hub_process.running(tmp_path / "data") as again:
        assert again.key == ""
        assert send(f"{again.url}/readyz").status == 200
        assert again.get("/api/status").status == 401


def test_hub_imports_few_packages(tmp_path: Path) -> None:
    """Imports are most of the hub's memory. A package that a setting needs is imported when the setting is used."""
    with hub_process.running(tmp_path, environment={"PYTHONPROFILEIMPORTTIME": "1"}) as hub:
        assert hub.get("/healthz").status == 200
        log = (tmp_path / "hub.log").read_text()
    lines = re.findall(r"^import time: .*\| +(\w+)", log, re.MULTILINE)
    # Imports of packages that are not installed are lines, too.
    packages = {name for name in set(lines) - sys.stdlib_module_names if find_spec(name)}
    assert {"metricat_hub", "numpy", "uvicorn"} <= packages
    assert {name for name in packages if not name.startswith("_")} - ALLOWED_PACKAGES == set()


def test_killed_hub_leaves_no_agent(tmp_path: Path) -> None:
    with hub_process.running(tmp_path, subcommand=("up",)) as hub:
        assert eventually(lambda: len(children(hub.process.pid)) == 1)
        [agent] = children(hub.process.pid)
        hub.process.kill()
        hub.process.wait()
        assert eventually(lambda: not is_running(agent))


def test_keys_are_created_and_revoked_while_the_hub_runs(tmp_path: Path) -> None:
    with hub_process.running(tmp_path) as hub:
        data = f"--data={tmp_path}"
        status, output, _ = metricat("hub", data, "keys", "create", "--label=grafana", "--expires=90d")
        assert status == 0
        hub.key = output.strip()
        assert hub.get("/api/status").status == 200
        denied = hub.post("/api/v1/write", b"")
        assert (denied.status, "lacks the scope write" in denied.json["detail"]) == (403, True)
        identifier = hub.key.split("_")[1]
        _, output, _ = metricat("hub", "keys", "list", data)
        assert f"{identifier}  grafana    read    active" in output
        assert hub.key not in output
        assert metricat("hub", data, "keys", "revoke", identifier)[1] == f"The key {identifier} (grafana) is revoked.\n"
        assert eventually(lambda: hub.get("/api/status").status == 401, 10)


def test_first_key_goes_into_a_file_and_not_to_standard_output(tmp_path: Path) -> None:
    file = tmp_path / "first-key"
    file.write_text("an old key, which is longer than a key: " + "x" * 100)
    file.chmod(0o644)
    with hub_process.running(tmp_path / "data", f"--access.first-key-file={file}") as hub:
        assert hub.key == ""
        assert f"API key: in {file}" in hub.output
        assert file.stat().st_mode & 0o777 == 0o600
        hub.key = file.read_text().removesuffix("\n")
        assert hub.get("/api/status").status == 200
    file.unlink()
    with hub_process.running(tmp_path / "data", f"--access.first-key-file={file}") as again:
        assert "API key" not in again.output
        assert not file.exists()


def test_no_first_key_is_created_if_its_file_cannot_be_written(tmp_path: Path) -> None:
    wrong = f"--access.first-key-file={tmp_path / 'missing' / 'key'}"
    status, output, error = metricat("hub", f"--data={tmp_path / 'data'}", "--listen=127.0.0.1:0", wrong)
    assert (status, output) == (1, "")
    assert f"{wrong}: No such file or directory. Set the path of a file that the hub can write." in error
    with hub_process.running(tmp_path / "data") as hub:
        assert hub.key


def test_hub_uses_tls_and_users_of_the_web_config_file(tmp_path: Path) -> None:
    self_signed(tmp_path, "tls")
    config = tmp_path / "web.yaml"
    config.write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")
    with hub_process.running(tmp_path / "data", f"--web.config.file={config}") as hub:
        assert hub.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
        url = hub.url.replace("127.0.0.1", "localhost")
        assert send(f"{url}/api/status", headers=hub.authorization, context=context).status == 200
        assert send(f"{url}/api/status", context=context).status == 401
        with pytest.raises(OSError, match=r"Connection reset|closed|Remote end"):
            send(url.replace("https", "http"))
        self_signed(tmp_path, "tls")  # a renewed certificate
        renewed = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
        assert send(f"{url}/healthz", context=renewed).status == 200


def test_requests_without_a_key_only_if_set(tmp_path: Path) -> None:
    with hub_process.running(tmp_path, "--access.anonymous-loopback") as hub:
        assert send(f"{hub.url}/api/status").status == 200
        assert send(f"{hub.url}/api/status", headers={"X-Forwarded-For": "192.0.2.1"}).status == 401
        assert send(f"{hub.url}/api/status", headers={"Host": "attacker.example"}).status == 401


def test_own_targets_are_scraped_and_a_changed_file_is_used(tmp_path: Path) -> None:
    config = tmp_path / "hub.yaml"
    job = "job_name: a, static_configs: [{targets: ['127.0.0.1:9']}]"
    config.write_text(f"collect.interval: 1s\nscrape_configs: [{{{job}}}]\n")
    with hub_process.running(tmp_path / "data", f"--config.file={config}") as hub:

        def pools() -> list[str]:
            return [one["scrapePool"] for one in hub.get("/api/v1/targets").json["data"]["activeTargets"]]

        assert eventually(lambda: pools() == ["a"])
        [target] = hub.get("/api/v1/targets").json["data"]["activeTargets"]
        assert target["scrapeInterval"] == "1s"
        config.write_text(config.read_text().replace("job_name: a", "job_name: b"))
        assert eventually(lambda: pools() == ["b"])


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (
            ["--listen=0.0.0.0:1"],
            {},
            "--listen=0.0.0.0:1: other machines can reach 0.0.0.0:1, but TLS is not configured;",
        ),
        (["--collect.interval=fast"], {}, "--collect.interval=fast: invalid duration 'fast'; use for example"),
        ([], {"COLLECT_INTERVAL": "0"}, "COLLECT_INTERVAL=0: "),
        ([], {"DB_CONNECTION": "mysql://a:secret@b"}, "DB_CONNECTION: mysql is not a store; write embedded:,"),
        ([], {"SERVER_ID": "a b"}, "SERVER_ID=a b: invalid name; use letters, digits and ._- only"),
        (["--query.timeout=0"], {}, "--query.timeout=0: outside of 1ms to 1h; write for example 2m"),
        (["--store.max-size=1"], {}, "--store.max-size=1: invalid size '1'; use for example 512MB or 20GB"),
        (["--config.file=/nowhere"], {}, "--config.file=/nowhere: cannot be read: No such file or directory;"),
        (["--web.config.file=/nowhere"], {}, "--web.config.file=/nowhere: cannot be read: No such file or directory"),
        (["--lisen=:1"], {}, "unrecognized argument --lisen; did you mean --listen?"),
        (["keys", "list", "--listen=:1"], {}, "--listen belongs to metricat hub; write it before the subcommand"),
        (["--data=/dev/null/x"], {}, "/dev/null/x"),
    ],
)
def test_wrong_settings_name_value_and_remedy(
    arguments: list[str], environment: dict[str, str], message: str, tmp_path: Path
) -> None:
    data = [] if arguments[:1] == ["--data=/dev/null/x"] else [f"--data={tmp_path}"]
    status, output, error = metricat("hub", *data, *arguments, environment=environment)
    assert (status, output) == (2 if data else 1, "")
    assert message in error
    assert "secret" not in error
    assert "Traceback" not in error


def test_taken_address_is_an_error(tmp_path: Path) -> None:
    with hub_process.running(tmp_path / "a") as hub:
        address = hub.url.removeprefix("http://")
        status, _, error = metricat("hub", f"--data={tmp_path / 'b'}", f"--listen={address}")
        assert status == 1
        assert f"cannot listen on {address}: Address already in use. Set another address with --listen." in error


def test_users_are_managed_while_the_hub_runs(tmp_path: Path) -> None:
    data = f"--data={tmp_path / 'data'}"
    password = tmp_path / "password"
    password.write_text("correct horse battery\nsecond line\n")
    log = tmp_path / "audit.log"
    with hub_process.running(tmp_path / "data", f"--log.audit-file={log}") as hub:

        def log_in(name: str) -> int:
            body = json.dumps({"name": name, "password": "correct horse battery"}).encode()
            response = send(f"{hub.url}/api/v1/sessions", body, {"Content-Type": "application/json"})
            hub.key = response.json.get("access_token", "")
            return response.status

        add = ("hub", "users", "add", data, f"--password-file={password}")
        assert metricat(*add, "ada", "--role=admin")[:2] == (0, "Added the user ada with the role admin.\n")
        assert metricat(*add, "bob")[0] == 0
        assert log_in("bob") == 200
        assert hub.get("/api/status").status == 200
        assert metricat("hub", "users", "role", data, "bob", "editor")[0] == 0
        assert eventually(lambda: hub.get("/api/v1/me").json["role"] == "editor", 10)
        assert metricat("hub", "users", "disable", data, "bob")[0] == 0
        assert eventually(lambda: hub.get("/api/v1/me").status == 401, 10)
        assert log_in("bob") == 401
        status, _, error = metricat("hub", "users", "remove", data, "ada")
        assert (status, "ada is the only active administrator" in error) == (1, True)
        assert metricat("hub", "users", "rotate-signing-key", data)[0] == 0
        assert log_in("ada") == 200
        _, output, _ = metricat("hub", "users", "list", data)
        assert [line.split()[:4] for line in output.splitlines()[1:]] == [
            ["ada", "admin", "active", "password"],
            ["bob", "editor", "disabled", "password"],
        ]
        assert metricat("hub", "users", "enable", data, "bob")[0] == 0
        assert metricat("hub", "users", "remove", data, "bob")[0] == 0
    assert metricat("hub", "keys", "create", data, "--label=after the stop")[0] == 0
    with hub_process.running(tmp_path / "data", f"--log.audit-file={log}"):
        assert eventually(lambda: "after the stop" in log.read_text(), 60)
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    commands = [one for one in entries if one["client"] == "command line"]
    assert [(one["action"], one["outcome"]) for one in commands if one["target"] == "bob"] == [
        ("user.create", "success"),
        *[("user.update", "success")] * 3,
        ("user.delete", "success"),
    ]
    [failed] = [one for one in commands if one["outcome"] == "failure"]
    assert (failed["action"], failed["target"]) == ("user.delete", "ada")
    assert "only active administrator" in failed["details"]["reason"]
    assert {one["who"] for one in commands} == {getpass.getuser()}
    assert commands[-1]["details"] == {"scopes": "read", "label": "after the stop", "owner": ""}
    assert "correct horse" not in log.read_text()


def test_first_start_beyond_loopback_serves_nothing_without_the_printed_setup(tmp_path: Path) -> None:
    self_signed(tmp_path, "tls")
    config = tmp_path / "web.yaml"
    config.write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")
    arguments = (f"--web.config.file={config}", "--access.anonymous-loopback")
    with hub_process.running(tmp_path / "data", *arguments, listen="0.0.0.0:0") as hub:
        assert hub.key == ""
        found = re.search(r'"token":"([^"]+)"', hub.output)
        assert found is not None
        context = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
        url = hub.url.replace("127.0.0.1", "localhost")
        forwarded = {"X-Forwarded-For": "192.0.2.1"}
        for path in ("/api/status", "/api/v1/query?query=up", "/metrics", "/api/v1/users", "/api/v1/status/tsdb"):
            assert send(f"{url}{path}", headers=forwarded, context=context).status == 401
        body = json.dumps({"token": found[1], "name": "ada", "password": "correct horse battery"}).encode()
        kind = {"Content-Type": "application/json"}
        assert [send(f"{url}/api/v1/setup", body, kind, context=context).status for _ in range(2)] == [201, 403]
        login = send(f"{url}/api/v1/sessions", body.replace(b'"token"', b'"x"'), kind, context=context)
        assert login.status == 400
        login = send(
            f"{url}/api/v1/sessions",
            b'{"name": "ada", "password": "correct horse battery"}',
            kind,
            context=context,
        )
        token = {"Authorization": f"Bearer {login.json['access_token']}", **forwarded}
        assert send(f"{url}/api/status", headers=token, context=context).status == 200
    with hub_process.running(tmp_path / "data", *arguments, listen="0.0.0.0:0") as hub:
        assert "token" not in hub.output


def test_backup_of_a_running_hub_is_restored_with_samples_keys_and_users(tmp_path: Path) -> None:
    data, password = f"--data={tmp_path / 'data'}", tmp_path / "password"
    password.write_text("correct horse battery\n")
    now = int(time.time() * 1000)
    batch = {"collector_id": "c1", "hostname": "n1", "timestamp": now, "metrics": [{"name": "kept", "value": 7}]}
    with hub_process.running(tmp_path / "data") as hub:
        key = hub.key
        body, json_type = json.dumps(batch).encode(), {"Content-Type": "application/json"}
        assert hub.post("/api/v1/metrics/collect", body, json_type).status == 200
        assert metricat("hub", "users", "add", data, "ada", f"--password-file={password}")[0] == 0
        status, output, _ = metricat("store", "backup", data, str(tmp_path / "copy"))
        assert (status, "accounts.sqlite" in output, "alerts.sqlite" in output) == (0, True, True)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "copy").iterdir()} == {0o600}
    with hub_process.running(tmp_path / "copy") as hub:
        assert not hub.key
        hub.key = key
        found = hub.get("/api/v1/query", query="kept", time=now / 1000).json["data"]["result"]
        assert [one["value"][1] for one in found] == ["7"]
        login = json.dumps({"name": "ada", "password": "correct horse battery"}).encode()
        assert send(f"{hub.url}/api/v1/sessions", login, json_type).status == 200
