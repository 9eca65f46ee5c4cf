"""The REST API on samples of this machine's agent, pushed under two node names."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support import hub_process
from support.hub_process import HubProcess, send
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NODES = ("n1", "n2")
COUNT, STEP = 40, 15_000
FORM = "application/x-www-form-urlencoded"
CATEGORIES = ("cpu", "memory", "disk", "network", "filesystem", "process")


def pushed(end: int) -> list[Sent]:
    """Return the series of the agent's page: gauges are constant, counters grow by 15 between two samples."""
    page = subprocess.run(
        [sys.executable, "-m", "metricat_agent", "--once"], check=True, capture_output=True, text=True
    )
    found = []
    for family in text_string_to_metric_families(page.stdout):
        for sample in family.samples:
            for node in NODES:
                labels = {**sample.labels, "__name__": sample.name, "node": node, "instance": node}
                labels |= {"namespace": "local", "service": "metricat", "pool": "default", "job": "metricat"}
                grows = 15.0 if family.type == "counter" else 0.0
                points = [(end - STEP * (COUNT - 1 - at), sample.value + grows * at) for at in range(COUNT)]
                found.append(Sent(sorted(labels.items()), points))
    return found


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    body = snappy(request_1(pushed(int(time.time()) * 1000)))
    with hub_process.running(tmp_path_factory.mktemp("hub")) as running:
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        sent = running.post("/api/v1/write", body, headers)
        assert sent.status == 204, sent.body
        yield running


def ok(response: hub_process.Response) -> Any:
    assert response.status == 200, response.body
    assert response.headers["content-type"] == "application/json"
    return response.json


def test_current_values_have_units_times_and_both_names_of_the_node(hub: HubProcess) -> None:
    found = ok(hub.get("/api/v1/metrics/current", metric="memory_total_bytes"))
    assert [(one["node"], one["hostname"], one["unit"]) for one in found["data"]] == [
        ("n1", "n1", "bytes"),
        ("n2", "n2", "bytes"),
    ]
    assert all(one["value"] > 2**20 for one in found["data"])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["timestamp"]) for one in found["data"])
    assert found["next"] is None


def test_all_measures_that_any_linux_machine_has_are_current(hub: HubProcess) -> None:
    known = {one["name"]: one for one in ok(hub.get("/api/v1/metrics/measures"))["data"]}
    assert len(known) == 47
    found = ok(hub.get("/api/v1/metrics/current", limit=10_000))["data"]
    names = {one["metric"] for one in found}
    assert {name for name, one in known.items() if one["category"] in ("cpu", "memory")} - names <= {
        "swap_usage_percent"  # a machine without swap has no usage of it
    }
    assert {"filesystem_usage_percent", "network_receive_bytes_per_sec", "network_connections"} <= names
    for one in found:
        assert one["unit"] == known[one["metric"]]["unit"]


def test_measure_has_the_value_of_its_expression(hub: HubProcess) -> None:
    for one in ok(hub.get("/api/v1/metrics/measures"))["data"]:
        result = ok(hub.get("/api/v1/query", query=one["expression"]))["data"]["result"]
        found = ok(hub.get("/query", metric=one["name"]))["data"]
        assert len(found) == len(result)
        assert sorted(entry["value"] for entry in found) == pytest.approx(
            sorted(float(entry["value"][1]) for entry in result), rel=0.05
        )


@pytest.mark.parametrize("category", CATEGORIES)
def test_category_returns_its_measures(category: str, hub: HubProcess) -> None:
    found = ok(hub.get(f"/api/metrics/{category}", node="n2"))["data"]
    assert {one["node"] for one in found} <= {"n2"}
    known = {one["name"]: one["category"] for one in ok(hub.get("/api/v1/metrics/measures"))["data"]}
    assert {known.get(one["metric"], "process") for one in found} == ({category} if found else set())
    assert found or category == "disk"  # a machine may have no disk of its own


def test_pages_together_are_the_whole(hub: HubProcess) -> None:
    whole = [strip(one) for one in ok(hub.get("/api/metrics/cpu"))["data"]]
    cursor, pages = "", list[Any]()
    while True:
        page = ok(hub.get("/api/metrics/cpu", limit=3, **({"cursor": cursor} if cursor else {})))
        assert len(page["data"]) <= 3
        pages += [strip(one) for one in page["data"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert pages == whole
    assert len(whole) > 6


def strip(entry: Mapping[str, Any]) -> tuple[str, str, str]:
    return entry["metric"], entry["node"], str(entry["labels"])


def test_history_has_one_point_a_step(hub: HubProcess) -> None:
    end = int(time.time())
    found = ok(hub.get("/api/v1/metrics/history", metric="node_load1", start=end - 300, end=end, step="30s", node="n1"))
    assert (found["metric"], found["step_seconds"], found["aggregation"], found["tier"]) == (
        "node_load1",
        30.0,
        "last",
        "raw",
    )
    [series] = found["data"]
    assert len(series["points"]) == 11
    assert series["points"][0][0] == time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(end - 300))
    assert all(isinstance(value, float) for _, value in series["points"])


@pytest.mark.parametrize("aggregation", ["min", "max", "count", "avg", "last"])
def test_history_aggregates_the_samples_of_a_step(aggregation: str, hub: HubProcess) -> None:
    """A counter grows by 15 in each of the four samples of a minute."""
    end = (int(time.time()) // 60 - 1) * 60
    name = "node_context_switches_total"
    parameters = {"metric": name, "start": end - 120, "end": end, "step": "1m", "node": "n1"}
    [series] = ok(hub.get("/api/v1/metrics/history", aggregation=aggregation, **parameters))["data"]
    [last] = ok(hub.get("/api/v1/metrics/history", aggregation="max", **parameters))["data"]
    values = [value for _, value in series["points"]]
    if aggregation == "count":
        assert values == [4, 4, 4]
        return
    lag = {"min": 45, "max": 0, "avg": 22.5, "last": 0}[aggregation]
    assert values == [value - lag for _, value in last["points"]]


def test_measures_are_aggregated_too(hub: HubProcess) -> None:
    found = ok(hub.get("/api/v1/metrics/history", metric="cpu_usage_percent", aggregation="max", step="2m"))
    assert {one["node"] for one in found["data"]} == set(NODES)


def test_unchanged_response_is_not_sent_again(hub: HubProcess) -> None:
    end = int(time.time()) - 60
    parameters = {"metric": "node_load1", "start": end - 60, "end": end}
    first = hub.get("/api/v1/metrics/history", **parameters)
    again = hub.get("/api/v1/metrics/history", {"If-None-Match": first.headers["etag"]}, **parameters)
    assert (again.status, again.body) == (304, b"")
    assert hub.get("/api/v1/metrics/history", {"If-None-Match": '"other"'}, **parameters).status == 200
    changed = hub.get("/api/v1/metrics/history", **{**parameters, "start": end - 120})
    assert changed.headers["etag"] != first.headers["etag"]


def test_nodes_collectors_and_status_are_returned(hub: HubProcess) -> None:
    nodes = ok(hub.get("/api/nodes"))["data"]
    assert [(one["node"], one["status"], one["pool"]) for one in nodes] == [
        ("n1", "up", "default"),
        ("n2", "up", "default"),
    ]
    assert all(one["kernel"].startswith("Linux ") and one["boot_time"] for one in nodes)
    collectors = ok(hub.get("/api/collectors", node="n1"))["data"]
    assert {"cpu", "meminfo"} <= {one["collector"] for one in collectors if one["success"]}
    status = ok(hub.get("/api/status"))
    assert (status["status"], status["problems"]) == ("ok", [])
    assert status["series"] > 500
    assert status["retention"] == {"raw": "7d", "1m": "30d", "1h": "1y"}


@pytest.mark.parametrize(
    ("path", "parameters", "status", "detail"),
    [
        ("/query", {}, 400, "invalid parameter metric: it is missing; write for example ?metric=cpu_usage_percent"),
        ("/query", {"metric": "nod_load1"}, 404, "no metric has the name nod_load1; did you mean node_load1"),
        ("/query", {"metric": "rate(x[5m])"}, 400, "invalid metric name 'rate(x[5m])'; use a measure such as"),
        (
            "/query",
            {"metric": ["a", "b"]},
            400,
            "invalid parameter metric: it has two different values; send one value",
        ),
        ("/api/v1/metrics/current", {"limit": 0}, 400, "invalid parameter limit: '0' is not a number from 1 to 10000"),
        ("/api/v1/metrics/current", {"cursor": "x"}, 400, "invalid parameter cursor: the value is not a cursor; send"),
        ("/api/v1/metrics/history", {"metric": "node_load1", "start": "soon"}, 400, "parameter start: cannot parse"),
        (
            "/api/v1/metrics/history",
            {"metric": "node_load1", "start": 9e9},
            400,
            "parameter start: start is after end",
        ),
        ("/api/v1/metrics/history", {"metric": "node_load1", "step": "0"}, 400, "step: it must be above zero"),
        (
            "/api/v1/metrics/history",
            {"metric": "node_load1", "step": "1ms"},
            400,
            "more than 11000 steps; use a longer",
        ),
        (
            "/api/v1/metrics/history",
            {"metric": "node_load1", "aggregation": "p99"},
            400,
            "'p99' is unknown; write",
        ),
        ("/api/v1/nothing", {}, 404, "no resource has the path /api/v1/nothing; find the paths at /docs"),
    ],
)
def test_wrong_requests_name_the_remedy(
    path: str, parameters: dict[str, Any], status: int, detail: str, hub: HubProcess
) -> None:
    response = hub.get(path, **parameters)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.status == response.json["status"] == status
    assert detail in response.json["detail"]
    assert response.json["instance"] == path
    assert set(response.json) >= {"type", "title"}


def test_unsupported_method_returns_405(hub: HubProcess) -> None:
    response = hub.post("/api/nodes", b"")
    assert response.status == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert "/api/nodes does not support POST" in response.json["detail"]


def test_openapi_lists_every_path_and_each_answers(hub: HubProcess) -> None:
    document = send(f"{hub.url}/openapi.json").json
    assert document["openapi"] == "3.1.0"
    examples = {"metric": "node_load1", "query": "up", "match[]": "up", "start": "0", "end": "10", "step": "5"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation["tags"][0] in {"Push", "Sessions", "Users", "Keys"}:
                continue  # they have bodies of their own, and other tests
            is_query = FORM in operation.get("requestBody", {}).get("content", {})
            if (method != "get" and not is_query) or set(re.findall(r"{(\w+)}", path)) - {"name"}:
                continue  # it changes something, or needs one that exists; other tests cover it
            needed = {one["name"]: examples.get(one["name"], "x") for one in operation["parameters"] if one["required"]}
            url = path.replace("{name}", "node")
            needed.pop("name", None)
            if method == "get":
                response = hub.get(url, **needed)
            else:
                body = urllib.parse.urlencode(examples).encode()
                response = hub.post(url, body, {"Content-Type": FORM})
            assert response.status == 200, (path, response.body)
            assert response.headers["content-type"].partition(";")[0] in operation["responses"]["200"]["content"]
            anonymous = send(f"{hub.url}{url}", method=method.upper()).status
            assert anonymous == (200 if operation.get("security") == [] else 401)


def test_docs_page_loads_no_external_files(hub: HubProcess) -> None:
    page = send(f"{hub.url}/docs")
    assert page.status == 200
    assert "/api/v1/metrics/history" in page.body.decode()
    assert re.findall(r'(?:src|href)="(?!#)([^"]*)"', page.body.decode()) == ["openapi.json"]
    assert b"<script" not in page.body
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_own_metrics_count_requests(hub: HubProcess) -> None:
    hub.get("/api/nodes")
    page = hub.get("/metrics").body.decode()
    [count] = re.findall(r'^metricat_hub_http_requests_total\{code="200",handler="nodes"\} (\S+)', page, re.MULTILINE)
    assert float(count) >= 1
    assert "metricat_hub_build_info" in page


def test_node_without_samples_for_five_minutes_is_down(hub: HubProcess) -> None:
    now = int(time.time()) * 1000
    for node, minutes in (("late", 4), ("gone", 6), ("g.ne", 58), ("lost", 62)):
        at = now - minutes * 60_000
        series = [
            {"__name__": "node_load1", "node": node, "instance": node, "pool": "old"},
            {"__name__": "node_uname_info", "node": node, "instance": node, "sysname": "Linux", "release": node},
        ]
        body = snappy(request_1([Sent(sorted(labels.items()), [(at, 1.0)]) for labels in series]))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        assert hub.post("/api/v1/write", body, headers).status == 204
    found = {one["node"]: one for one in ok(hub.get("/api/nodes"))["data"]}
    assert found.keys() & {"late", "gone", "g.ne", "lost"} == {"late", "gone", "g.ne"}
    for node, status in (("late", "up"), ("gone", "down"), ("g.ne", "down")):
        own = found[node]
        assert (own["status"], own["pool"], own["kernel"]) == (status, "old", f"Linux {node}")


def test_node_whose_series_lack_labels_has_no_alerts(hub: HubProcess) -> None:
    now = int(time.time()) * 1000
    shipped = {"namespace": "local", "service": "metricat"}
    for node, labels in (("bare", {}), ("half", {"namespace": "local"}), ("full", shipped)):
        series = {"__name__": "node_load1", "node": node, "instance": node, **labels}
        body = snappy(request_1([Sent(sorted(series.items()), [(now, 1.0)])]))
        headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
        assert hub.post("/api/v1/write", body, headers).status == 204
    found = {one["node"]: one["has_alerts"] for one in ok(hub.get("/api/nodes"))["data"]}
    assert [found[node] for node in ("bare", "half", "full")] == [False, False, True]
