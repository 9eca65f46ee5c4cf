"""Rules in a running hub: alerts, restarts, changed files, and the same API as a real Prometheus."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from support import hub_process, real_prometheus
from support.hub_process import HubProcess, send
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - record: level:doubled
        expr: 2 * level
        labels: {unit: m}
      - alert: High
        expr: level:doubled > 10
        for: 3s
        keep_firing_for: 1h
        labels: {severity: "{{ if gt $value 100.0 }}critical{{ else }}warning{{ end }}"}
        annotations: {summary: "{{ $labels.place }} is at {{ $value | humanize }}"}
"""
OPTIONS = ("--no-rules.shipped", "--collect.interval=1s", "--rules.interval=1s")


def push(hub: HubProcess, value: float) -> None:
    labels = sorted({"__name__": "level", "place": "sea"}.items())
    body = snappy(request_1([Sent(labels, [(int(time.time() * 1000), value)])]))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    assert hub.post("/api/v1/write", body, headers).status == 204


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def alerts(hub: HubProcess, state: str) -> list[Any]:
    return [one for one in hub.get("/api/v1/alerts").json["data"]["alerts"] if one["state"] == state]


def rule_file(folder: Path, text: str = RULES) -> str:
    path = folder / "rules.yaml"
    path.write_text(text)
    return f"--rules.files={path}"


def test_alert_survives_kill_and_restart(tmp_path: Path) -> None:
    options = (*OPTIONS, rule_file(tmp_path))
    with hub_process.running(tmp_path / "data", *options) as hub:
        push(hub, 60)
        [before] = until(lambda: alerts(hub, "firing"))
        assert before["labels"] == {"alertname": "High", "place": "sea", "severity": "critical", "unit": "m"}
        assert before["annotations"] == {"summary": "sea is at 120"}
        query = hub.get("/api/v1/query", query='ALERTS{alertstate="firing"}').json["data"]["result"]
        assert [one["value"][1] for one in query] == ["1"]
        hub.process.kill()
        hub.process.wait()
        key = hub.key
    with hub_process.running(tmp_path / "data", *options) as hub:
        hub.key = key
        push(hub, 1)
        [after] = until(lambda: [one for one in alerts(hub, "firing") if "keepFiringSince" in one])
        assert after["activeAt"] == before["activeAt"]
        assert hub.get("/metrics").body.count(b'metricat_hub_alerts{state="firing"} 1') == 1


def test_changed_rule_file_is_used_and_an_invalid_one_is_reported(tmp_path: Path) -> None:
    with hub_process.running(tmp_path / "data", *OPTIONS, rule_file(tmp_path)) as hub:
        push(hub, 60)
        until(lambda: alerts(hub, "firing"))
        rule_file(tmp_path, RULES.replace("expr: level:doubled", "expr: sum("))
        [problem] = until(lambda: hub.get("/api/status").json["problems"])
        assert "rules.yaml: line 10: groups[0].rules[1].expr: " in problem
        assert alerts(hub, "firing")
        rule_file(tmp_path, RULES.replace("alert: High", "alert: Higher"))
        until(lambda: [one for one in alerts(hub, "firing") if one["labels"]["alertname"] == "Higher"])
        assert hub.get("/api/status").json["problems"] == []


def test_failing_rule_is_named_and_the_others_are_evaluated(tmp_path: Path) -> None:
    extra = "      - {record: broken, expr: 'level * on () group_left () (level or level:doubled)'}\n"
    text = RULES.replace("      - record: level", f"{extra}      - record: level", 1)
    with hub_process.running(tmp_path / "data", *OPTIONS, rule_file(tmp_path, text)) as hub:
        push(hub, 60)
        until(lambda: alerts(hub, "firing"))
        [problem] = until(lambda: hub.get("/api/status").json["problems"])
        assert "rule broken of group test fails: " in problem
        groups = hub.get("/api/v1/rules", type="record").json["data"]["groups"]
        assert [rule["health"] for rule in groups[0]["rules"]] == ["err", "ok"]
        name = "metricat_hub_rule_group_evaluation_failures_total"
        stored = f'{name}{{group="test",service="metricat-hub",namespace="local"}} > 0'
        until(lambda: hub.get("/api/v1/query", query=stored).json["data"]["result"], 60)


def test_invalid_rule_file_prevents_the_start(tmp_path: Path) -> None:
    path = rule_file(tmp_path, RULES.replace("alert: High", "allert: High"))
    data = f"--data={tmp_path / 'data'}"
    status, output, error = hub_process.finished("hub", data, "--listen=127.0.0.1:0", *OPTIONS, path)
    assert (status, output) == (1, "")
    assert "rules.yaml: line 9: groups[0].rules[1].allert: unknown key; did you mean alert?" in error


def keys(value: Any) -> Any:
    """Return the structure of JSON: names of members, types of values."""
    if isinstance(value, dict):
        return {name: keys(one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        return [keys(one) for one in value]
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_api_has_the_members_of_prometheus(tmp_path: Path) -> None:
    rule_file(tmp_path)
    with (
        real_prometheus.running(tmp_path, "rule_files: [rules.yaml]") as prometheus,
        hub_process.running(tmp_path / "hub", *OPTIONS, rule_file(tmp_path)) as hub,
    ):
        push(hub, 60)
        prometheus.write({(("__name__", "level"), ("place", "sea")): [(int(time.time() * 1000), 60.0)]})

        def theirs(path: str) -> Any:
            return json.loads(send(f"{prometheus.url}{path}").body)["data"]

        until(lambda: alerts(hub, "firing"))
        until(lambda: [one for one in theirs("/api/v1/alerts")["alerts"] if one["state"] == "firing"])
        for path in ("/api/v1/alerts", "/api/v1/rules", "/api/v1/rules?type=record", "/api/v1/rules?rule_name[]=High"):
            own = hub.get(path).json["data"]
            expected = theirs(path)
            if path == "/api/v1/rules":
                expected.pop("groupNextToken", None)
            assert keys(own) == keys(expected)
        for member in ("labels", "annotations", "value"):
            assert alerts(hub, "firing")[0][member] == theirs("/api/v1/alerts")["alerts"][0][member]
