"""The Prometheus HTTP API: the same samples in the hub and in a real Prometheus, and the same responses from both."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import time
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from metricat_tools.binaries import ensure
from support import hub_process
from support.hub_process import HubProcess, send
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STEP = 15_000
COUNT = 160


@dataclass
class Both:
    """The hub and the Prometheus, and the time of the newest sample in milliseconds."""

    hub: HubProcess
    prometheus: str
    end: int

    def get(self, path: str, parameters: Sequence[tuple[str, str]], *, form: bool = False) -> tuple[Any, Any]:
        """Return status and JSON of both."""
        query = urllib.parse.urlencode(parameters)
        found = []
        for url, headers in ((self.hub.url, self.hub.authorization), (self.prometheus, {})):
            if form:
                response = send(f"{url}{path}", query.encode(), {**headers, **FORM})
            else:
                response = send(f"{url}{path}?{query}", headers=headers)
            assert response.headers["content-type"] == "application/json"
            found.append((response.status, response.json))
        return found[0], found[1]

    def at(self, seconds: float = 0) -> str:
        return f"{self.end / 1000 + seconds:.3f}"


def series(end: int) -> list[Sent]:
    """Return series of all kinds of values: counters with resets, gaps, NaN, infinities, tiny and huge numbers."""
    times = [end - STEP * (COUNT - 1 - at) for at in range(COUNT)]
    values: dict[str, Callable[[int], float]] = {
        "counter_total": lambda at: float(at * 7 if at < 90 else (at - 90) * 3),
        "gauge": lambda at: math.sin(at / 9) * 1e3,
        "tiny": lambda at: at * 1.7e-9,
        "huge": lambda at: at * 3.3e20,
        "special": lambda at: (math.nan, math.inf, -math.inf, -0.0)[at % 4],
    }
    found = []
    for name, value in values.items():
        for node in ("n1", "n2", 'n"3\\'):
            labels = sorted({"__name__": name, "node": node, "job": "nodes", "zone": "ä"}.items())
            scale = 1.0 if node == "n1" else 1.37
            kept = [at for at in range(COUNT) if node != "n2" or not 60 <= at < 100]
            found.append(Sent(labels, [(times[at], value(at) * scale) for at in kept]))
    for bound in ("0.1", "1", "+Inf"):
        labels = sorted({"__name__": "latency_bucket", "le": bound, "node": "n1"}.items())
        factor = {"0.1": 1.0, "1": 2.5, "+Inf": 3.0}[bound]
        found.append(Sent(labels, [(times[at], float(at) * factor) for at in range(COUNT)]))
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = (
        *(str(ensure("prometheus")["prometheus"]), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--log.level=error"),
    )
    end = int(time.time()) * 1000
    body = snappy(request_1(series(end)))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    with subprocess.Popen(command, cwd=folder) as process:
        try:
            _wait(f"{url}/-/ready")
            with hub_process.running(folder / "hub") as hub:
                sent = send(f"{url}/api/v1/write", body, headers)
                assert sent.status == 204, sent.body
                sent = hub.post("/api/v1/write", body, headers)
                assert sent.status == 204, sent.body
                yield Both(hub, url, end)
        finally:
            process.terminate()
            process.wait(30)


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            if send(url).status == 200:
                return
        except OSError:
            assert time.monotonic() < deadline
        time.sleep(0.1)


ROUNDED = {"avg_over_time(gauge[10m:1m])"}
"""Queries whose sums may differ in the last digit: Prometheus adds in another order."""


def assert_same(query: str, hub: Any, prometheus: Any) -> None:
    """Compare responses: as text, or within 1e-12 for queries in `ROUNDED`."""
    if query not in ROUNDED:
        assert comparable(hub) == comparable(prometheus)
        return
    ours, theirs = (comparable(one)["data"]["result"] for one in (hub, prometheus))
    assert [one["metric"] for one in ours] == [one["metric"] for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        points = one.get("values") or [one["value"]]
        for (at, value), (time_, expected) in zip(points, other.get("values") or [other["value"]], strict=True):
            assert at == time_
            assert float(value) == pytest.approx(float(expected), rel=1e-12)


def assert_same_but_order(hub: Any, prometheus: Any) -> None:
    """Compare the warnings and the number of entries."""
    assert hub.get("warnings") == prometheus.get("warnings")
    ours, theirs = (
        one["data"]["result"] if isinstance(one["data"], dict) else one["data"] for one in (hub, prometheus)
    )
    assert len(ours) == len(theirs) > 0


def comparable(answer: Any) -> Any:
    """Return the answer with the series in a fixed order: that of vectors is not defined."""
    data = answer.get("data")
    if isinstance(data, dict) and isinstance(data.get("result"), list) and data["resultType"] in ("vector", "matrix"):
        data["result"].sort(key=lambda one: sorted(one["metric"].items()))
    if isinstance(data, list):
        data.sort(key=lambda one: sorted(one.items()) if isinstance(one, dict) else one)
    return answer


INSTANT = (
    "counter_total",
    "gauge * 2",
    "tiny",
    "huge",
    "special",
    "rate(counter_total[5m])",
    "increase(counter_total[10m])",
    "sum by (node) (gauge)",
    "topk(2, gauge)",
    "gauge[2m]",
    "scalar(sum(gauge))",
    "1 / 3",
    "1e21 * 10",
    '"text \\" ä"',
    "histogram_quantile(0.9, rate(latency_bucket[5m]))",
    "avg_over_time(gauge[10m:1m])",
    'label_replace(gauge, "x", "$1-ü", "node", "(.*)")',
    "absent(nothing)",
    "nothing",
    "rate(gauge[5m])",
    "time()",
)
RANGE = tuple(one for one in INSTANT if "[2m]" not in one and "text" not in one)


@pytest.mark.parametrize("query", INSTANT)
def test_instant_queries_have_the_same_response(query: str, both: Both) -> None:
    for at in (0.0, -1.234, -1200.0, -3000.0):
        hub, prometheus = both.get("/api/v1/query", [("query", query), ("time", both.at(at))], form=at == 0)
        assert hub[0] == prometheus[0] == 200
        assert_same(query, hub[1], prometheus[1])


@pytest.mark.parametrize("query", RANGE)
def test_range_queries_have_the_same_response(query: str, both: Both) -> None:
    parameters = [("query", query), ("start", both.at(-2500)), ("end", both.at()), ("step", "37")]
    hub, prometheus = both.get("/api/v1/query_range", parameters)
    assert hub[0] == prometheus[0] == 200
    assert_same(query, hub[1], prometheus[1])


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("series", [("match[]", "gauge"), ("match[]", '{__name__=~"counter.*"}')]),
        ("series", [("match[]", "gauge"), ("limit", "2")]),
        ("series", [("match[]", "nothing")]),
        ("labels", []),
        ("labels", [("match[]", "latency_bucket")]),
        ("labels", [("match[]", "latency_bucket"), ("match[]", "gauge"), ("limit", "2")]),
        ("label/node/values", []),
        ("label/node/values", [("match[]", "latency_bucket")]),
        ("label/__name__/values", [("limit", "3")]),
        ("label/nothing/values", []),
        ("query", [("query", "gauge"), ("limit", "1")]),
    ],
)
def test_lists_have_the_same_response(path: str, parameters: list[tuple[str, str]], both: Both) -> None:
    times = [("time", both.at())] if path == "query" else [("start", both.at(-2000)), ("end", both.at())]
    hub, prometheus = both.get(f"/api/v1/{path}", [*parameters, *times])
    assert hub[0] == prometheus[0] == 200
    if path in ("series", "query") and "limit" in dict(parameters):  # which series are left is not defined
        assert_same_but_order(hub[1], prometheus[1])
        return
    assert comparable(hub[1]) == comparable(prometheus[1])


@pytest.mark.parametrize(
    ("path", "parameters", "exact"),
    [
        ("query", [], False),
        ("query", [("query", "sum(")], False),
        ("query", [("query", "up"), ("time", "now")], True),
        ("query", [("query", "up"), ("timeout", "soon")], True),
        ("query", [("query", "up"), ("limit", "-1")], True),
        ("query", [("query", "up"), ("limit", "x")], True),
        ("query", [("query", "up"), ("lookback_delta", "x")], True),
        ("query", [("query", "gauge + on (job) gauge")], False),
        ("query", [("query", 'gauge{node=~"("}')], False),
        ("query_range", [("query", "up")], True),
        ("query_range", [("query", "up"), ("start", "0"), ("end", "-1"), ("step", "1")], True),
        ("query_range", [("query", "up"), ("start", "0"), ("end", "1"), ("step", "0")], True),
        ("query_range", [("query", "up"), ("start", "0"), ("end", "1"), ("step", "x")], True),
        ("query_range", [("query", "up"), ("start", "0"), ("end", "12000"), ("step", "1")], True),
        ("query_range", [("query", "gauge[5m]"), ("start", "0"), ("end", "1"), ("step", "1")], False),
        ("series", [], True),
        ("series", [("match[]", '{node=~".*"}')], False),
        ("series", [("match[]", "sum(gauge)")], False),
        ("labels", [("match[]", "{")], False),
        ("labels", [("start", "x")], True),
        ("label/node/values", [("end", "x")], True),
        ("metadata", [("limit", "x")], True),
        ("status/tsdb", [("limit", "0")], True),
    ],
)
def test_errors_have_the_same_status_and_type(
    path: str, parameters: list[tuple[str, str]], exact: int, both: Both
) -> None:
    (status, hub), (expected, prometheus) = both.get(f"/api/v1/{path}", [*parameters])
    if path == "query" and ("time", "now") not in parameters:
        (status, hub), (expected, prometheus) = both.get(f"/api/v1/{path}", [*parameters, ("time", both.at())])
    assert (status, hub["status"], hub["errorType"]) == (expected, prometheus["status"], prometheus["errorType"])
    assert set(hub) == set(prometheus)
    if exact:
        assert hub["error"] == prometheus["error"]


def test_status_has_the_same_keys(both: Both) -> None:
    for path in ("buildinfo", "runtimeinfo", "tsdb", "config"):
        (_, hub), (_, prometheus) = both.get(f"/api/v1/status/{path}", [])
        assert set(hub["data"]) == set(prometheus["data"])
    (_, hub), (_, prometheus) = both.get("/api/v1/targets", [])
    assert set(hub["data"]) == set(prometheus["data"])


def test_query_ends_at_its_timeout(both: Both) -> None:
    query = "count_over_time(gauge[40m:400ms])"
    hub = both.hub.get("/api/v1/query", query=f"sum({query} + {query} + {query} + {query})", timeout="1ms")
    assert (hub.status, hub.json["errorType"]) == (503, "timeout"), hub.json


def promtool(both: Both, folder: Path, *arguments: str) -> tuple[str, str]:
    """Return the output of promtool for the hub and for the Prometheus."""
    settings = folder / "http.yml"
    settings.write_text(json.dumps({"authorization": {"type": "Bearer", "credentials": both.hub.key}}))
    tool = str(ensure("promtool")["promtool"])
    found = []
    for url, extra in ((both.hub.url, (f"--http.config.file={settings}",)), (both.prometheus, ())):
        words = [word.replace("SERVER", url) for word in arguments]
        done = subprocess.run(
            [tool, "query", words[0], *extra, *words[1:]], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found.append("\n".join(sorted(done.stdout.splitlines())))
    return found[0], found[1]


def test_promtool_prints_the_same(both: Both, tmp_path: Path) -> None:
    start, end = f"--start={both.at(-600)}", f"--end={both.at()}"
    for arguments in (
        ("instant", f"--time={both.at()}", "SERVER", "sum by (node) (rate(counter_total[5m]))"),
        ("instant", f"--time={both.at()}", "SERVER", "special"),
        ("range", start, end, "--step=30s", "SERVER", "gauge"),
        ("series", start, end, "--match=gauge", "SERVER"),
        ("labels", start, end, "SERVER", "node"),
    ):
        hub, prometheus = promtool(both, tmp_path, *arguments)
        assert hub == prometheus
        assert hub


def test_backtest_reads_the_history_of_the_hub(both: Both, tmp_path: Path) -> None:
    target = tmp_path / "target.yaml"
    target.write_text("kind: MonitoringTarget\nmetadata: {name: nodes, namespace: monitoring}\nspec: {}\n")
    found = []
    for url, headers in ((both.hub.url, [f"--header=Authorization: Bearer {both.hub.key}"]), (both.prometheus, [])):
        words = ["backtest", f"--file={target}", f"--prometheus={url}", "--since=30m", *headers]
        done = subprocess.run(hub_process.command(*words), capture_output=True, text=True, check=False)
        found.append((done.returncode, done.stderr.replace(url, "URL")))
    assert found[0] == found[1]
    assert "has no history of MonitoringTarget monitoring/nodes" in found[0][1]
