"""The history of a hub that a real Alertmanager fills through its webhook."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.model.labels import from_mapping
from support import hub_process, real_alertmanager, real_prometheus
from support.hub_process import HubProcess, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATH = "/api/v1/alertmanager/webhook"
ALERTS = [{"alertname": "High", "node": node, "severity": "warning", "prometheus": "monitoring/k8s"} for node in "abc"]
CONFIGURATION = """
route: {receiver: history, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}
receivers:
  - name: history
    webhook_configs:
      - url: http://127.0.0.1:%d/api/v1/alertmanager/webhook
        send_resolved: true
        http_config: {authorization: {credentials: %s}}
"""


PROMETHEUS = """
global: {evaluation_interval: 1s, external_labels: {cluster: one, prometheus_replica: r0}}
rule_files: [rules.yaml]
alerting:
  alert_relabel_configs: [{action: labeldrop, regex: prometheus_replica}]
  alertmanagers: [{static_configs: [{targets: ["%s"]}]}]
"""
RULES = """
groups:
  - name: one
    rules:
      - {alert: High, expr: level > 10, labels: {severity: warning}, annotations: {summary: high}}
"""


def states(hub: HubProcess) -> dict[str, list[str]]:
    """Return the states of the episodes of each node."""
    found: dict[str, list[str]] = {}
    for one in hub.get("/api/v1/alerts/history").json["data"]:
        assert one["source"] == "alertmanager"
        found.setdefault(one["node"], []).append(one["state"])
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_alertmanager_fills_the_history_and_missed_alerts_follow_a_restart(tmp_path: Path) -> None:
    port = free_port()
    data, options = tmp_path / "data", ("--no-rules.shipped",)
    with hub_process.running(data, *options) as hub:
        key = hub_process.create_key(hub, "write")
        reader = hub.key
    with real_alertmanager.running(tmp_path, CONFIGURATION % (port, key)) as alertmanager:
        with hub_process.running(data, *options, listen=f"127.0.0.1:{port}") as hub:
            hub.key = reader
            alertmanager.post(ALERTS[:2])
            assert eventually(lambda: states(hub) == {"a": ["firing"], "b": ["firing"]}, 60)
            alertmanager.post(ALERTS[:1], is_resolved=True)
            assert eventually(lambda: states(hub) == {"a": ["resolved"], "b": ["firing"]}, 60)
            [first] = hub.get("/api/v1/alerts/history", node="b").json["data"]
            hub.process.kill()
            hub.process.wait()
        # Without a hub, b resolves, and c fires. The hub that starts is at another address, so it gets no message.
        alertmanager.post(ALERTS[1:2], is_resolved=True)
        alertmanager.post(ALERTS[2:])
        missed = f"--alert-history.alertmanager-url={alertmanager.url}"
        with hub_process.running(data, *options, missed) as hub:
            hub.key = reader
            assert eventually(lambda: states(hub) == {"a": ["resolved"], "b": ["resolved"], "c": ["firing"]}, 60)
            timeline = hub.get(f"/api/v1/alerts/{first['fingerprint']}/history").json["data"]
            assert timeline[0]["details"] == {"reason": "the end was not observed"}
            assert hub.get("/api/status").json["problems"] == []


def test_alerts_of_an_outage_are_read_from_prometheus(tmp_path: Path) -> None:
    port = free_port()
    data = tmp_path / "data"
    with hub_process.running(data, "--no-rules.shipped") as hub:
        key, reader = hub_process.create_key(hub, "write"), hub.key
    (tmp_path / "rules.yaml").write_text(RULES)
    with (
        real_alertmanager.running(tmp_path, CONFIGURATION % (port, key)) as alertmanager,
        real_prometheus.running(tmp_path, PROMETHEUS % alertmanager.url.removeprefix("http://")) as prometheus,
    ):

        def push(**levels: float) -> None:
            now = int(time.time() * 1000)
            series = {from_mapping({"__name__": "level", "node": node}): [(now, at)] for node, at in levels.items()}
            prometheus.write(series)

        def firing() -> set[str]:
            found = prometheus.instant('ALERTS{alertstate="firing"}', int(time.time() * 1000))
            return {dict(labels)["node"] for labels in found.series}

        def episodes() -> list[tuple[str, str, str]]:
            found = hub.get("/api/v1/alerts/history").json["data"]
            assert {one["labels"].get("cluster") for one in found} <= {"one"}
            assert all("prometheus_replica" not in one["labels"] for one in found)
            return sorted((one["node"], one["state"], one["source"]) for one in found)

        options = (f"--store.url=prometheus+{prometheus.url}", f"--alert-history.alertmanager-url={alertmanager.url}")
        with hub_process.running(data, *options, listen=f"127.0.0.1:{port}") as hub:
            hub.key = reader
            push(a=20, b=1, c=1)
            assert eventually(lambda: episodes() == [("a", "firing", "alertmanager")], 60)
            hub.process.kill()
            hub.process.wait()
        push(a=1, b=20)
        assert eventually(lambda: firing() == {"b"}, 60)
        push(b=1, c=20)
        assert eventually(lambda: firing() == {"c"}, 60)
        with hub_process.running(data, *options, listen=f"127.0.0.1:{port}") as hub:
            hub.key = reader
            assert eventually(lambda: [node for node, *_ in episodes()] == ["a", "b", "c"], 60)
            assert eventually(lambda: [state for _, state, _ in episodes()] == ["resolved", "resolved", "firing"], 60)
            found = {one["node"]: one for one in hub.get("/api/v1/alerts/history").json["data"]}
            assert (found["a"]["source"], found["c"]["source"]) == ("alertmanager", "alertmanager")
            assert found["c"]["annotations"] == {"summary": "high"}
            assert hub.get("/api/status").json["problems"] == []
            assert len(episodes()) == 3


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    missing = f"--alert-history.alertmanager-url=http://127.0.0.1:{free_port()}"
    with hub_process.running(tmp_path_factory.mktemp("hub"), "--no-rules.shipped", missing) as hub:
        yield hub


def message(**changes: Any) -> bytes:
    alert = {
        "status": "resolved",
        "labels": {"alertname": "High", "node": "x"},
        "annotations": {"summary": "high"},
        "startsAt": "2026-01-31T12:00:00.123456789Z",
        "endsAt": "2026-01-31T13:00:00+01:00",
        "fingerprint": "0123456789abcdef",
        **changes,
    }
    return json.dumps({"version": "4", "status": "resolved", "receiver": "history", "alerts": [alert]}).encode()


def post(hub: HubProcess, body: bytes, media: str = "application/json") -> tuple[int, str]:
    response = hub.post(PATH, body, {"Content-Type": media})
    return response.status, response.json["detail"] if response.body else ""


def test_repeated_message_is_recorded_once(hub: HubProcess) -> None:
    ends = "2026-01-31T12:30:00Z"
    for _ in range(3):
        assert post(hub, message(endsAt=ends)) == (204, "")
    [found] = hub.get("/api/v1/alerts/history", start="2026-01-01T00:00:00Z", node="x").json["data"]
    assert (found["fired"], found["resolved"]) == ("2026-01-31T12:00:00.123Z", "2026-01-31T12:30:00.000Z")
    assert (found["annotations"], found["labels"]["node"]) == ({"summary": "high"}, "x")
    assert len(hub.get(f"/api/v1/alerts/{found['fingerprint']}/history").json["data"]) == 2


def test_invalid_message_is_rejected_with_the_reason(hub: HubProcess) -> None:
    for body, status, detail in (
        (b"[]", 400, "the body is not a message of Alertmanager's webhook: Expected `object`, got `array`"),
        (
            message().replace(b'"4"', b'"3"'),
            400,
            "the body is not a message of Alertmanager's webhook: Invalid enum value '3'",
        ),
        (message(startsAt="today"), 400, "invalid parameter startsAt: 'today' is not a time from 1970 on"),
        (message(endsAt="0001-01-01T00:00:00Z"), 400, "invalid parameter endsAt: '0001-01-01T00:00:00Z'"),
        (message(labels={}), 400, "invalid parameter alerts: an alert has no labels"),
    ):
        found = post(hub, body)
        assert found[0] == status
        assert found[1].startswith(detail)
    assert post(hub, message(), "text/plain")[0] == 415
    key = hub_process.create_key(hub, "read")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    assert hub_process.send(f"{hub.url}{PATH}", message(), headers).status == 403


def test_unreachable_alertmanager_is_a_problem(hub: HubProcess) -> None:
    assert eventually(lambda: bool(hub.get("/api/status").json["problems"]), 60)
    [problem] = hub.get("/api/status").json["problems"]
    assert "does not respond" in problem
    assert "Check Alertmanager and --alert-history.alertmanager-url." in problem
    assert hub.get("/readyz").status == 200  # the hub works without it
