"""Receivers of a running hub: real alerts, kill -9, the API, changed settings, secrets, and a real Alertmanager."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from metricat_tools.binaries import ensure
from support import hub_process
from support.hub_process import HubProcess, eventually, send
from support.remote_write import Sent, request_1, snappy
from support.scripted_receiver import Reply, receiving
from support.smtp_server import mail_server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - alert: LevelHigh
        expr: level > 10
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.place }} is at {{ $value }}", action: Pump.}
"""
ROUTE = "route: {receiver: default, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}\n"
OPTIONS = ("--no-rules.shipped", "--collect.interval=1s")
PATH = "/services/T000/B000/open-sesame"
_WITH_TEMPLATES = (
    "mount -t tmpfs none /usr/share && mkdir /usr/share/prometheus && "
    'ln -s "$1" /usr/share/prometheus/alertmanager && shift && exec "$@"'
)
"""Runs Debian's Alertmanager, which reads its templates from a fixed path, in a mount namespace of its own."""


def push(hub: HubProcess, value: float) -> None:
    labels = sorted({"__name__": "level", "place": "sea"}.items())
    body = snappy(request_1([Sent(labels, [(int(time.time() * 1000), value)])]))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    assert hub.post("/api/v1/write", body, headers).status == 204


def settings(folder: Path, receivers: str, rules: str = RULES) -> tuple[str, ...]:
    """Write the files of the hub, and return its flags."""
    (folder / "rules.yaml").write_text(rules)
    (folder / "hub.yaml").write_text(f"{ROUTE}{receivers}")
    return (*OPTIONS, f"--config.file={folder / 'hub.yaml'}", f"--rules.files={folder / 'rules.yaml'}")


def webhook(port: int, **further: str) -> str:
    """Return a section with one webhook."""
    channel = {"url": f"http://127.0.0.1:{port}{PATH}", **further}
    return f"receivers: [{{name: default, webhook_configs: [{json.dumps(channel)}]}}]\n"


def request(hub: HubProcess, method: str, path: str, body: object = None) -> Any:
    headers: Mapping[str, str] = {**hub.authorization, "Content-Type": "application/json"}
    return send(f"{hub.url}{path}", None if body is None else json.dumps(body).encode(), headers, method)


def test_alert_reaches_mail_and_webhook_and_resolves(tmp_path: Path) -> None:
    with mail_server() as mailbox, receiving() as receiver:
        channels = (
            f"email_configs: [{{to: ops@example.org, from: hub@example.org, smarthost: '127.0.0.1:{mailbox.port}', "
            f"require_tls: false}}], webhook_configs: [{{url: 'http://127.0.0.1:{receiver.port}/hook'}}]"
        )
        flags = settings(tmp_path, f"receivers: [{{name: default, {channels}}}]\n")
        with hub_process.running(tmp_path / "data", *flags) as hub:
            push(hub, 20)
            receiver.wait(1, 60)
            assert eventually(lambda: len(mailbox.mails) == 1)
            push(hub, 1)
            receiver.wait(2, 60)
            assert eventually(lambda: len(mailbox.mails) == 2)
            assert hub.get("/api/v1/receivers").json["data"][0]["channels"][0]["state"] == "ok"
    assert [one.message["Subject"] for one in mailbox.mails] == [
        "[FIRING 1] LevelHigh (critical)",
        "[RESOLVED 1] LevelHigh (critical)",
    ]
    plain = mailbox.mails[0].message.get_body(("plain",))
    assert plain is not None
    assert "Value:      20 (threshold > 10)" in plain.get_content()
    assert "First step: Pump." in plain.get_content()
    first = json.loads(receiver.requests[0].body)
    assert (first["status"], first["alerts"][0]["value"]) == ("firing", 20)


def test_message_survives_kill_between_two_attempts(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(503)]
        flags = settings(tmp_path, webhook(receiver.port))
        with hub_process.running(tmp_path / "data", *flags) as hub:
            push(hub, 20)
            receiver.wait(1, 60)
            assert eventually(lambda: hub.get("/api/v1/notifications/queue").json["data"][0]["attempts"] > 0)
            os.kill(hub.process.pid, signal.SIGKILL)
            hub.process.wait(60)
            key = hub.key
        refused = len(receiver.requests)
        receiver.replies = [Reply(200)]
        with hub_process.running(tmp_path / "data", *flags) as hub:
            hub.key = key
            receiver.wait(refused + 1, 60)
            assert eventually(lambda: hub.get("/api/v1/notifications/queue").json["total"] == 0)
            assert hub.get("/api/v1/notifications/dead-letters").json == {"data": [], "next": None}
    delivered = receiver.requests[refused]
    assert delivered.headers["idempotency-key"] == receiver.requests[0].headers["idempotency-key"]
    assert delivered.body[:200] == receiver.requests[0].body[:200]


def test_dead_letters_are_listed_retried_and_deleted(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(400, body=f"unknown path {PATH}".encode())]
        flags = settings(tmp_path, webhook(receiver.port, signing_secret="${SIGNING}"))
        with hub_process.running(tmp_path / "data", *flags, environment={"SIGNING": "sign-with-this"}) as hub:
            push(hub, 20)
            assert eventually(lambda: bool(hub.get("/api/v1/notifications/dead-letters").json["data"]))
            [letter] = hub.get("/api/v1/notifications/dead-letters").json["data"]
            assert (letter["title"], letter["attempts"]) == ("[FIRING 1] LevelHigh (critical)", 1)
            assert letter["error"] == "status 400: unknown path <secret>"
            path = f"/api/v1/notifications/dead-letters/{letter['id']}"
            assert request(hub, "POST", f"{path}/retry").json == {"retried": 1}
            receiver.wait(2, 60)
            assert eventually(lambda: bool(hub.get("/api/v1/notifications/dead-letters").json["data"]))
            assert request(hub, "DELETE", path).status == 204
            assert request(hub, "DELETE", path).status == 404
            assert request(hub, "POST", "/api/v1/notifications/dead-letters/retry").json == {"retried": 0}
            tested = request(hub, "POST", "/api/v1/receivers/test", {"receiver": "default"})
            [result] = tested.json["data"]
            assert (result["channel"], result["outcome"]) == ("webhook-1", "rejected")
            missing = request(hub, "POST", "/api/v1/receivers/test", {"receiver": "nobody"})
            assert (missing.status, "list the receivers with" in missing.json["detail"]) == (404, True)
            shown = [hub.get(one).body for one in ("/api/v1/receivers", "/api/status", "/metrics")]
        files = [
            one.read_bytes() for one in (tmp_path / "data").rglob("*") if one.is_file() and one.suffix != ".sqlite"
        ]
    for text in (*shown, tested.body, *files):
        assert b"open-sesame" not in text
        assert b"sign-with-this" not in text


def test_changed_section_is_used_without_restart(tmp_path: Path) -> None:
    with receiving() as first, receiving() as second:
        flags = settings(tmp_path, webhook(first.port))
        with hub_process.running(tmp_path / "data", *flags) as hub:
            assert request(hub, "POST", "/api/v1/receivers/test", {}).json["data"][0]["outcome"] == "delivered"
            settings(tmp_path, "receivers: [{name: default, webhook_configs: [{uri: x}]}]\n")
            assert eventually(lambda: b"uri: unknown key; use one of" in hub.get("/api/status").body)
            assert request(hub, "POST", "/api/v1/receivers/test", {}).json["data"][0]["outcome"] == "delivered"
            settings(tmp_path, webhook(second.port))
            assert eventually(lambda: b"uri: unknown key; use one of" not in hub.get("/api/status").body)
            assert request(hub, "POST", "/api/v1/receivers/test", {}).json["data"][0]["outcome"] == "delivered"
    assert (len(first.requests), len(second.requests)) == (2, 1)


def test_alerts_are_handed_over_to_a_real_alertmanager(tmp_path: Path) -> None:
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    alertmanager = ensure("prometheus-alertmanager")["prometheus-alertmanager"]
    program = subprocess.Popen(
        [
            *("unshare", "-rm", "sh", "-c", _WITH_TEMPLATES, "sh", str(alertmanager.parent), str(alertmanager)),
            *(f"--config.file={tmp_path / 'alertmanager.yml'}", f"--storage.path={tmp_path / 'am'}"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=warn"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def alerts() -> list[Any]:
        try:
            with urlopen(f"{url}/api/v2/alerts?filter=alertname%3DLevelHigh", timeout=10) as response:
                found: list[Any] = json.load(response)
                return found
        except OSError:
            return []

    channel = f"{{urls: ['{url}', 'http://127.0.0.1:1'], resend_interval: 1s, timeout: 5s}}"
    flags = settings(tmp_path, f"receivers: [{{name: default, alertmanager_configs: [{channel}]}}]\n")
    try:
        with hub_process.running(tmp_path / "data", *flags) as hub:
            push(hub, 20)
            assert eventually(lambda: bool(alerts()))
            [first] = alerts()
            assert first["labels"] == {"alertname": "LevelHigh", "place": "sea", "severity": "critical"}
            assert first["annotations"]["summary"] == "sea is at 20"
            assert eventually(lambda: [one["endsAt"] for one in alerts()] > [first["endsAt"]])
            # A silence of the hub ends the repetition, so Alertmanager ends the alert until the silence has ended.
            created = request(hub, "POST", "/api/v1/silences", {"matchers": ["place=sea"], "duration": "1h"})
            assert eventually(lambda: not alerts(), 60)
            assert request(hub, "DELETE", f"/api/v1/silences/{created.json['id']}").status == 200
            assert eventually(lambda: bool(alerts()), 60)
            push(hub, 1)
            assert eventually(lambda: not alerts())
    finally:
        program.terminate()
        program.wait(60)
