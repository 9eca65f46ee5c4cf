"""The API of routing in a running hub: active alerts, acknowledgements, silences, maintenance windows, and settings."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from support import hub_process
from support.hub_process import HubProcess, Response, create_key, eventually, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - alert: High
        expr: label_replace(vector(7), "node", "web-1", "", "") or label_replace(vector(8), "node", "web-2", "", "")
        labels: {severity: warning, pool: batch}
        annotations: {summary: "{{ $labels.node }} is at {{ $value }}"}
      - {alert: Waits, expr: vector(1), for: 1h, labels: {severity: critical}}
"""
SETTINGS = """
receivers: [{name: default}, {name: pager}]
route: {receiver: default, group_wait: 1s, routes: [{matchers: [node=web-2], receiver: pager}]}
"""
ACTIVE = "/api/v1/alerts/active"


@pytest.fixture(name="hub", scope="module")
def run_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("routing")
    with hub_process.running(folder / "data", *options(folder)) as hub:
        wait(lambda: len(firing(hub)) == 2)
        yield hub


def options(folder: Path, settings: str = SETTINGS) -> tuple[str, ...]:
    (folder / "rules.yaml").write_text(RULES)
    (folder / "hub.yaml").write_text(settings)
    return "--no-rules.shipped", f"--rules.files={folder / 'rules.yaml'}", f"--config.file={folder / 'hub.yaml'}"


def wait(condition: Callable[[], bool]) -> None:
    assert eventually(condition, 60)


def firing(hub: HubProcess, **parameters: str) -> list[Any]:
    return list(hub.get(ACTIVE, state="firing", **parameters).json["data"])


def request(hub: HubProcess, method: str, path: str, body: object = None, **headers: str) -> Response:
    data = None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json", **hub.authorization, **headers}
    return send(f"{hub.url}{path}", data, given, method)


def test_active_alerts_have_their_state_and_their_receivers(hub: HubProcess) -> None:
    wait(lambda: all(one["receivers"] for one in firing(hub)))
    found = hub.get(ACTIVE).json["data"]
    assert [(one["name"], one["state"], one["node"]) for one in found] == [
        ("Waits", "pending", None),
        *(("High", "firing", node) for node in sorted(("web-1", "web-2"), key=lambda node: _print(found, node))),
    ]
    one = next(one for one in found if one["node"] == "web-1")
    assert one["annotations"] == {"summary": "web-1 is at 7"}
    assert (one["value"], one["severity"], one["receivers"], one["acknowledgement"]) == (
        7,
        "warning",
        ["default"],
        None,
    )
    assert [one["node"] for one in firing(hub, receiver="pager")] == ["web-2"]
    assert hub.get(ACTIVE, node=["web-1", "web-3"], alert="High").json["data"][0]["fingerprint"] == one["fingerprint"]
    assert hub.get(ACTIVE, severity="critical", limit=1).json == {"data": [found[0]], "next": None}
    assert hub.get(f"{ACTIVE}/{one['fingerprint']}").json["node"] == "web-1"
    assert hub.get(f"{ACTIVE}/0123").status == 404


def _print(found: list[Any], node: str) -> str:
    return next(str(one["fingerprint"]) for one in found if one["node"] == node)


def test_acknowledgement_is_shown_until_it_is_removed(hub: HubProcess) -> None:
    [alert] = firing(hub, node="web-1")
    path = f"/api/v1/alerts/{alert['fingerprint']}/acknowledge"
    created = request(hub, "POST", path, {"comment": "on it", "duration": "2h"})
    assert created.status == 200
    assert firing(hub, node="web-1")[0]["acknowledgement"] == created.json
    assert created.json["comment"] == "on it"
    assert created.json["author"].startswith("first key (")
    assert request(hub, "DELETE", path).status == 200
    assert firing(hub, node="web-1")[0]["acknowledgement"] is None
    assert request(hub, "DELETE", path).status == 404
    assert request(hub, "POST", path.replace(alert["fingerprint"], "0" * 16), {}).status == 404
    assert request(hub, "POST", path, {"expires": "2020-01-01T00:00:00Z"}).status == 400
    assert request(hub, "POST", path, {"expires": "2099-01-01T00:00:00Z", "duration": "1h"}).status == 400


def test_silence_marks_its_alerts_until_it_ends(hub: HubProcess) -> None:
    body = {"matchers": ['node=~"web-.*"', 'node!="web-2"'], "duration": "2h", "comment": "new disk"}
    created = request(hub, "POST", "/api/v1/silences", body)
    assert created.status == 201
    assert created.json["state"] == "active"
    path = f"/api/v1/silences/{created.json['id']}"
    wait(lambda: firing(hub, node="web-1")[0]["silenced_by"] == [created.json["id"]])
    assert firing(hub, node="web-2")[0]["silenced_by"] == []
    assert hub.get("/api/v1/silences", state="active").json["data"] == [created.json]
    assert request(hub, "PUT", path, {**body, "comment": "two disks"}, **{"If-Match": '"7"'}).status == 412
    changed = request(hub, "PUT", path, {**body, "comment": "two disks"}, **{"If-Match": created.headers["etag"]})
    assert (changed.json["version"], changed.headers["etag"], changed.json["comment"]) == (2, '"2"', "two disks")
    assert request(hub, "DELETE", path).json["state"] == "expired"
    assert hub.get(path).json["state"] == "expired"
    wait(lambda: firing(hub, node="web-1")[0]["silenced_by"] == [])
    assert request(hub, "PUT", path, body).status == 400
    assert hub.get("/api/v1/silences/none").status == 404
    assert hub.get("/api/v1/silences/%C3%A4%20%22").json["instance"] == "/api/v1/silences/%C3%A4%20%22"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"matchers": ["node~x"], "duration": "1h"}, "invalid matcher 'node~x'"),
        ({"matchers": ["node=~("], "duration": "1h"}, "invalid regular expression"),
        ({"matchers": [], "duration": "1h"}, "match all alerts"),
        ({"matchers": ["node=a"]}, "ends and duration are both missing"),
        ({"matchers": ["node=a"], "duration": "1x"}, "invalid duration '1x'"),
        ({"matchers": ["node=a"], "ends": "2020-01-01T00:00:00Z"}, "ends before it starts"),
        ({"matchers": ["node=a"], "ends": "9999-12-31T23:59:59Z"}, "between 1970 and 9999"),
        ({"matchers": ["node=a"], "duration": "290y", "starts": "9900-01-01T00:00:00Z"}, "too long"),
    ],
)
def test_invalid_silence_is_rejected_with_its_remedy(hub: HubProcess, body: object, problem: str) -> None:
    found = request(hub, "POST", "/api/v1/silences", body)
    assert found.status == 400
    assert problem in found.json["detail"]


def test_maintenance_window_silences_the_alerts_of_its_pool(hub: HubProcess) -> None:
    now = time.gmtime()
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    body = {"name": "updates", "weekdays": [days[now.tm_wday]], "start": "00:00", "duration": "2d", "pools": ["batch"]}
    created = request(hub, "POST", "/api/v1/maintenance-windows", body)
    assert created.status == 201
    assert (created.json["is_open"], created.json["matchers"]) == (True, ['pool=~"batch"'])
    path = f"/api/v1/maintenance-windows/{created.json['id']}"
    wait(lambda: [one["silenced_by"] for one in firing(hub)] == [[created.json["id"]]] * 2)
    changed = request(hub, "PUT", path, {**body, "enabled": False})
    assert (changed.json["is_open"], changed.json["occurrence"]) == (False, None)
    wait(lambda: [one["silenced_by"] for one in firing(hub)] == [[], []])
    assert hub.get("/api/v1/maintenance-windows").json["data"] == [changed.json]
    assert request(hub, "DELETE", path, **{"If-Match": "1"}).status == 412
    assert request(hub, "DELETE", path).status == 200
    assert hub.get(path).status == 404
    changes: list[dict[str, Any]] = [{"time_zone": "Mars/Base"}, {"start": "25:00"}, {"weekdays": []}]
    for wrong in (*changes, {"duration": "8d"}, {"pools": []}):
        assert request(hub, "POST", "/api/v1/maintenance-windows", {**body, **wrong}).status == 400


@pytest.mark.parametrize("scope", ["read", "write"])
def test_changes_need_the_scope_edit(hub: HubProcess, scope: str) -> None:
    key = {"Authorization": f"Bearer {create_key(hub, scope)}"}
    wait(lambda: send(f"{hub.url}/api/v1/me", headers=key).status == 200)
    alerts = ("silences", "maintenance-windows", "alerts/0/acknowledge", "alert-rules")
    for path in (*alerts, "notifications/dead-letters/retry"):
        denied = request(hub, "POST", f"/api/v1/{path}", {}, **key)
        assert (denied.status, "lacks the scope edit" in denied.json["detail"]) == (403, True), path
    key = {"Authorization": f"Bearer {create_key(hub, 'edit')}"}
    wait(lambda: request(hub, "POST", "/api/v1/silences", {}, **key).status == 400)


def test_settings_follow_the_file_and_silences_survive_a_kill(tmp_path: Path) -> None:
    given = options(tmp_path)
    with hub_process.running(tmp_path / "data", *given) as hub:
        created = request(hub, "POST", "/api/v1/silences", {"matchers": ["node=web-1"], "duration": "2h"})
        wait(lambda: len(firing(hub, receiver="pager")) == 1)
        [alert] = firing(hub, node="web-2")
        acknowledged = request(hub, "POST", f"/api/v1/alerts/{alert['fingerprint']}/acknowledge", {})
        options(tmp_path, SETTINGS.replace("receiver: pager}", "receiver: pagr}"))
        wait(lambda: "no receiver has the name 'pagr'" in str(hub.get("/api/status").json))
        assert len(firing(hub, receiver="pager")) == 1
        options(tmp_path, SETTINGS.replace("node=web-2", "node=web-1"))
        wait(lambda: not firing(hub, receiver="pager"))
        hub.process.kill()
        hub.process.wait()
        key = hub.key
    with hub_process.running(tmp_path / "data", *given) as hub:
        hub.key = key
        wait(lambda: len(firing(hub)) == 2)
        assert firing(hub, node="web-1")[0]["silenced_by"] == [created.json["id"]]
        assert firing(hub, node="web-2")[0]["acknowledgement"] == acknowledged.json


def test_route_to_a_missing_receiver_prevents_the_start(tmp_path: Path) -> None:
    given = options(tmp_path, SETTINGS.replace("receiver: default", "receiver: defalt"))
    status, error = hub_process.failed(tmp_path / "data", *given)
    assert status == 1
    assert "hub.yaml: line 3: route.receiver: no receiver has the name 'defalt'; use one of default, pager" in error
