"""Alert rules through the API of a running hub: thresholds in files, changes with ETags, rights, both paths."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from support import hub_process
from support.hub_process import HubProcess, Response, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATHS = ("/api/alerts/rules", "/api/v1/alert-rules")
RULE = {"name": "Always", "expression": "vector(7)", "for": "2s", "labels": {"team": "a"}}
CPU = "NodeCPUUsageHigh"
SETTINGS = """
collect.interval: 1s
rules:
  interval: 1s
  cpu_usage: {threshold: 101, duration: 5m}
rule_files: [rules/*.yaml]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("hub")
    (folder / "rules").mkdir()
    (folder / "rules" / "own.yaml").write_text("groups: [{name: own, rules: [{alert: OfFile, expr: vector(1)}]}]")
    (folder / "hub.yaml").write_text(SETTINGS)
    with hub_process.running(folder / "data", f"--config.file={folder / 'hub.yaml'}") as found:
        yield found


def request(  # noqa: PLR0917 -- the parts of a request
    hub: HubProcess, method: str, path: str, body: Any = None, version: object = None, key: str = ""
) -> Response:
    headers = {"Authorization": f"Bearer {key or hub.key}", "Content-Type": "application/json"}
    if version is not None:
        headers["If-Match"] = f'"{version}"'
    return send(f"{hub.url}{path}", None if body is None else json.dumps(body).encode(), headers, method)


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def firing(hub: HubProcess) -> set[str]:
    found = hub.get("/api/v1/alerts").json["data"]["alerts"]
    return {one["labels"]["alertname"] for one in found if one["state"] == "firing"}


@pytest.mark.parametrize("path", PATHS)
def test_rule_is_created_evaluated_changed_and_deleted(hub: HubProcess, path: str) -> None:
    created = request(hub, "POST", path, {**RULE, "comment": "because"})
    assert (created.status, created.headers["etag"]) == (201, '"1"')
    one = f"{path}/{created.json['id']}"
    assert created.headers["location"] == one
    until(lambda: "Always" in firing(hub))
    view = until(lambda: (found := request(hub, "GET", one).json)["rules"][0]["firing"] == 1 and found)
    assert view["settings"] == RULE
    assert (view["rules"][0]["state"], view["rules"][0]["for_seconds"]) == ("firing", 2)
    assert request(hub, "PUT", one, {**RULE, "name": "Never"}, 1).headers["etag"] == '"2"'
    until(lambda: "Never" in firing(hub))
    assert "Always" not in firing(hub)
    assert request(hub, "POST", f"{one}/undo", {"comment": "wrong name"}, 2).json["name"] == "Always"
    versions = request(hub, "GET", f"{one}/versions").json["data"]
    assert [(one["version"], one["action"], one["comment"]) for one in versions] == [
        (3, "restore", "wrong name"),
        (2, "update", ""),
        (1, "create", "because"),
    ]
    assert [one["after"]["name"] for one in versions] == ["Always", "Never", "Always"]
    assert versions[1]["before"] == RULE
    assert request(hub, "DELETE", f"{one}?comment=done", None, 3).status == 204
    assert request(hub, "GET", one).status == 404
    until(lambda: "Always" not in firing(hub))
    assert request(hub, "POST", f"{one}/restore", {"version": 1}, 4).json["name"] == "Always"
    assert request(hub, "DELETE", one, None, 5).status == 204


def test_change_needs_the_version_that_the_client_read(hub: HubProcess) -> None:
    created = request(hub, "POST", PATHS[0], RULE).json
    one = f"{PATHS[0]}/{created['id']}"
    for method, path, body in (("PUT", one, RULE), ("DELETE", one, None), ("POST", f"{one}/undo", {})):
        missing = request(hub, method, path, body)
        assert (missing.status, missing.headers["content-type"]) == (428, "application/problem+json")
        assert "If-Match" in missing.json["detail"]
        stale = request(hub, method, path, body, 9)
        assert stale.status == 412
        assert "has version 1, but the request expects version 9" in stale.json["detail"]
        assert request(hub, method, path, body, "x").status == 400
    assert request(hub, "DELETE", one, None, 1).status == 204


def test_invalid_rule_is_a_problem_with_the_field(hub: HubProcess) -> None:
    for body, field in (
        ({**RULE, "expression": "sum("}, "expression"),
        ({"measure": "cpu_usag", "threshold": 1}, "measure"),
        ({**RULE, "for": "5"}, "for"),
    ):
        found = request(hub, "POST", PATHS[0], body)
        assert (found.status, found.json["parameter"]) == (400, field)
    assert "unknown field `expr`" in request(hub, "POST", PATHS[0], {"expr": "up"}).json["detail"]


def test_rules_of_files_are_listed_and_read_only(hub: HubProcess) -> None:
    rules = {one["name"]: one for one in request(hub, "GET", PATHS[0]).json["data"]}
    for name, file in (("OfFile", "own.yaml"), ("CpuUsageHigh", "hub.yaml")):
        assert not rules[name]["editable"]
        refused = request(hub, "PUT", f"{PATHS[0]}/{rules[name]['id']}", RULE, 0)
        assert refused.status == 409
        assert file in refused.json["detail"]
    assert rules[CPU]["shipped"]["defaults"]["warning"] == {"threshold": 90, "for": "15m"}
    assert rules[CPU]["shipped"]["action"].startswith("Stop the processes")  # the text for machines


def test_settings_of_a_shipped_alert(hub: HubProcess) -> None:
    one = f"{PATHS[0]}/{CPU}"
    body = {"levels": {"warning": {"threshold": 42, "for": "1m"}}}
    changed = request(hub, "PUT", one, body, 0)
    assert (changed.status, changed.headers["etag"]) == (200, '"1"')

    def evaluated() -> list[str]:
        groups = hub.get("/api/v1/rules", **{"rule_name[]": CPU}).json["data"]["groups"]
        return [rule["query"] for group in groups for rule in group["rules"]]

    until(lambda: any(query.endswith(">= 42") for query in evaluated()))
    assert request(hub, "POST", f"{one}/undo", {}, 1).json["settings"] is None
    until(lambda: not any(query.endswith(">= 42") for query in evaluated()))


def test_dry_run_and_backtest(hub: HubProcess) -> None:
    labelled = {**RULE, "annotations": {"summary": "at {{ $value }} of {{ $labels.team }}"}, "for": "0s"}
    before = len(request(hub, "GET", PATHS[0]).json["data"])
    found = request(hub, "POST", f"{PATHS[0]}?dry_run=true", labelled)
    assert found.status == 200
    [alert] = found.json["alerts"]
    assert (alert["state"], alert["value"]) == ("firing", 7)
    assert alert["labels"] == {"alertname": "Always", "severity": "warning", "team": "a"}
    assert alert["annotations"] == {"summary": "at 7 of "}
    assert (
        request(hub, "POST", f"{PATHS[0]}/dry-run", {"rule": labelled}).json["alerts"][0]["labels"] == alert["labels"]
    )
    assert len(request(hub, "GET", PATHS[0]).json["data"]) == before
    body = {"rule": {**RULE, "for": "5m"}, "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z", "step": "1m"}
    [result] = request(hub, "POST", f"{PATHS[0]}/backtest", body).json["rules"]
    assert (result["fired"], result["firing_seconds"]) == (1, 55 * 60)
    assert result["episodes"][0]["fired"] == "2026-01-01T00:05:00.000Z"
    assert request(hub, "POST", f"{PATHS[0]}/{CPU}/backtest", {"step": "x"}).json["parameter"] == "step"


def test_viewer_may_try_rules_and_not_change_them(hub: HubProcess) -> None:
    viewer = request(hub, "POST", "/api/v1/keys", {"scopes": ["read"]}).json["key"]
    assert request(hub, "GET", PATHS[0], key=viewer).status == 200
    assert request(hub, "POST", f"{PATHS[0]}/dry-run", {"rule": RULE}, key=viewer).status == 200
    assert request(hub, "POST", PATHS[0], RULE, key=viewer).status == 403
    assert request(hub, "PUT", f"{PATHS[0]}/{CPU}", {}, 0, viewer).status == 403
