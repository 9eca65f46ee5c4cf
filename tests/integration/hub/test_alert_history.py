"""The history of alerts in a running hub: what it records, and its API."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.model.alerts import fingerprint
from metricat_hub.store.alert_history import open_sqlite
from support import hub_process
from support.alert_history_contract import RETENTION, alert, event, whole
from support.hub_process import HubProcess, eventually
from support.hub_store import DAY, HOUR, MINUTE
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - alert: High
        expr: level > 10
        for: 2s
        labels: {severity: critical}
        annotations: {summary: "it is {{ $value }}"}
"""
PATH = "/api/v1/alerts/history"


def push(hub: HubProcess, value: float) -> None:
    labels = sorted({"__name__": "level", "node": "a"}.items())
    body = snappy(request_1([Sent(labels, [(int(time.time() * 1000), value)])]))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    assert hub.post("/api/v1/write", body, headers).status == 204


def until(hub: HubProcess, state: str) -> Any:
    """Return the episodes in a state once the history has one."""
    assert eventually(lambda: bool(hub.get(PATH, state=state).json["data"]), 60)
    return hub.get(PATH, state=state).json["data"]


def test_alert_is_recorded_from_its_start_to_its_end_despite_a_kill(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    options = ("--no-rules.shipped", f"--rules.files={tmp_path / 'rules.yaml'}")
    with hub_process.running(tmp_path / "data", *options) as hub:
        push(hub, 60)
        [fired] = until(hub, "firing")
        assert (fired["alert"], fired["node"], fired["severity"], fired["value"]) == ("High", "a", "critical", 60)
        hub.process.kill()
        hub.process.wait()
        key = hub.key
    with hub_process.running(tmp_path / "data", *options) as hub:
        hub.key = key
        push(hub, 1)
        [ended] = until(hub, "resolved")
        assert (ended["started"], ended["fired"]) == (fired["started"], fired["fired"])
        assert ended["duration_seconds"] > 0
        timeline = hub.get(f"/api/v1/alerts/{ended['fingerprint']}/history").json
        assert [one["kind"] for one in timeline["data"]] == ["resolved", "firing", "pending"]
        assert timeline["labels"] == ended["labels"]
        assert hub.get(PATH, state="pending").json["data"] == []
        metrics = hub.get("/metrics").body.decode()
        assert "\nmetricat_hub_alert_history_stored_events_total 1.0\n" in metrics
        assert hub.get("/api/status").json["problems"] == []


def test_alert_of_a_removed_rule_ends(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    options = ("--no-rules.shipped", f"--rules.files={path}")
    with hub_process.running(tmp_path / "data", *options) as hub:
        push(hub, 60)
        until(hub, "firing")
        path.write_text(RULES.replace("alert: High", "alert: Higher"))
        [ended] = until(hub, "resolved")
        assert ended["alert"] == "High"


@pytest.fixture(scope="module")
def now() -> int:
    return int(time.time() * 1000)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, now: int) -> Iterator[HubProcess]:
    """Return a hub with the history of a month."""
    folder = tmp_path_factory.mktemp("history")
    history = open_sqlite(folder, RETENTION)
    for place in range(30):
        node = alert(node=f"n{place % 3}", severity="critical" if place % 2 else "warning")
        history.record(whole(now - 30 * DAY + place * DAY, HOUR, node, acknowledged=MINUTE if place == 29 else 0))
    formula = alert("=cmd()", node="n9")
    history.record(whole(now - HOUR, MINUTE, formula))
    history.record([event("notified", now - HOUR + 2 * MINUTE, formula, receiver="mail", outcome="delivered")])
    history.close()
    with hub_process.running(folder, "--no-rules.shipped") as hub:
        yield hub


def test_default_is_the_last_week_and_filters_select(hub: HubProcess, now: int) -> None:
    found = hub.get(PATH).json["data"]
    assert [one["node"] for one in found[:4]] == ["n9", "n2", "n1", "n0"]
    assert len(found) == 8
    assert hub.get("/api/alerts/history").json["data"] == found
    month = hub.get(PATH, start=(now - 40 * DAY) / 1000)
    assert len(month.json["data"]) == 31
    some = hub.get(PATH, start=(now - 40 * DAY) / 1000, node=["n1", "n9"], severity="critical").json["data"]
    assert {(one["node"], one["severity"]) for one in some} == {("n1", "critical")}
    assert len(some) == 5
    assert [one["alert"] for one in hub.get(PATH, receiver="mail").json["data"]] == ["=cmd()"]
    acknowledged = [one for one in found if one["acknowledged_by"]]
    assert [one["acknowledged_by"] for one in acknowledged] == ["kim"]


def test_cursor_returns_every_episode_once(hub: HubProcess, now: int) -> None:
    parameters = {"start": (now - 40 * DAY) / 1000, "limit": 4}
    seen = []
    page = hub.get(PATH, **parameters).json
    while True:
        seen += [one["started"] for one in page["data"]]
        if page["next"] is None:
            break
        page = hub.get(PATH, **parameters, cursor=page["next"]).json
    assert len(seen) == len(set(seen)) == 31
    assert seen == sorted(seen, reverse=True)


def test_csv_has_a_row_for_each_episode_and_a_link_to_the_next_page(hub: HubProcess) -> None:
    found = hub.get(PATH, {"Accept": "text/csv"}, limit=5)
    assert found.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    rows = list(csv.DictReader(io.StringIO(found.body.decode())))
    assert len(rows) == 5
    assert rows[0]["alert"] == "'=cmd()"  # a spreadsheet does not evaluate it
    assert json.loads(rows[0]["labels"])["node"] == "n9"
    link = found.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    others = list(csv.DictReader(io.StringIO(hub.get(link).body.decode())))
    assert len(others) == 3
    assert "link" not in hub.get(PATH, format="csv").headers
    identity = rows[0]["fingerprint"]
    timeline = hub.get(f"/api/v1/alerts/{identity}/history", format="csv").body.decode()
    assert [row["kind"] for row in csv.DictReader(io.StringIO(timeline))] == [
        *("notified", "resolved", "firing", "pending")
    ]


def test_unchanged_answer_is_not_sent_again(hub: HubProcess, now: int) -> None:
    parameters = {"start": (now - DAY) / 1000, "end": now / 1000}
    for path in (PATH, "/api/v1/alerts/statistics"):
        first = hub.get(path, **parameters)
        again = hub.get(path, {"If-None-Match": first.headers["etag"]}, **parameters)
        assert (first.status, again.status, again.body) == (200, 304, b"")


def test_timeline_has_the_details_of_notifications(hub: HubProcess) -> None:
    identity = fingerprint(alert("=cmd()", node="n9"))
    found = hub.get(f"/api/v1/alerts/{identity}/history", limit=1).json
    assert found["data"][0]["kind"] == "notified"
    assert found["data"][0]["details"]["receiver"] == "mail"
    following = hub.get(f"/api/v1/alerts/{identity}/history", cursor=found["next"]).json
    assert [one["kind"] for one in following["data"]] == ["resolved", "firing", "pending"]


def test_statistics_are_those_of_the_selected_episodes(hub: HubProcess, now: int) -> None:
    found = hub.get("/api/v1/alerts/statistics", start=(now - 40 * DAY) / 1000, top=2).json
    assert (found["episodes"], found["acknowledged"], found["notifications"]) == (31, 1, 1)
    assert found["time_to_acknowledge"] == {"count": 1, "mean_seconds": 60, "median_seconds": 60, "p95_seconds": 60}
    assert found["time_to_resolve"]["median_seconds"] == 3600
    assert found["alerts"] == [{"name": "High", "episodes": 30}, {"name": "=cmd()", "episodes": 1}]
    assert len(found["nodes"]) == 2


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"state": "open"}, "invalid parameter state: 'open' is unknown; write pending, firing, resolved or inactive"),
        ({"cursor": "abc"}, "invalid parameter cursor: the value is not a cursor"),
        ({"limit": "0"}, "invalid parameter limit: '0' is not a number from 1 to 10000"),
        ({"format": "xml"}, "invalid parameter format: 'xml' is unknown; write json or csv"),
        ({"start": "yesterday"}, 'invalid parameter start: cannot parse "yesterday"'),
        ({"start": "2", "end": "1"}, "invalid parameter start: the start is after the end"),
        ({"start": "-99999999999999"}, "invalid parameter start: "),
    ],
)
def test_invalid_parameter_is_named(hub: HubProcess, parameters: dict[str, str], problem: str) -> None:
    found = hub.get(PATH, **parameters)
    assert found.status == 400
    assert found.json["detail"].startswith(problem)


def test_unknown_alert_is_not_found(hub: HubProcess) -> None:
    found = hub.get("/api/v1/alerts/0123456789abcdef/history")
    assert (found.status, found.json["detail"]) == (
        404,
        "no alert has the fingerprint '0123456789abcdef'; list the alerts with: GET /api/v1/alerts/history",
    )
    assert hub.get("/api/v1/alerts/statistics", top=0).status == 400
