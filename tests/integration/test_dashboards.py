"""Helm renders a valid ConfigMap for each dashboard, and a real Prometheus evaluates the queries of many nodes."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import time
from typing import TYPE_CHECKING, Any

import yaml

from metricat_hub.model.labels import NAME, from_mapping
from metricat_tools.binaries import ensure
from metricat_tools.generate.dashboards import BOARDS
from support import real_prometheus
from support.paths import CHART

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.model.labels import Labels


def rendered(*settings: str) -> list[dict[str, Any]]:
    chosen = [f"--set={one}" for one in settings]
    text = subprocess.run(
        [ensure("helm")["helm"], "template", "metricat", CHART, *chosen], check=True, capture_output=True, text=True
    ).stdout
    return [one for one in yaml.safe_load_all(text) if one and "-dashboard-" in one["metadata"]["name"]]


def test_no_dashboard_is_rendered_without_the_value() -> None:
    assert rendered() == []


def test_each_dashboard_has_a_config_map_for_grafanas_sidecar() -> None:
    found = rendered("dashboards.enabled=true")
    assert {json.loads(text)["uid"] for one in found for text in one["data"].values()} == {
        f"metricat-{board.name}" for board in BOARDS
    }
    assert all(one["kind"] == "ConfigMap" and one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in found)


def test_each_grafana_dashboard_refers_to_its_config_map() -> None:
    found = rendered(
        "dashboards.enabled=true", "dashboards.grafanaOperator.instanceSelector.matchLabels.dashboards=grafana"
    )
    maps = {one["metadata"]["name"]: one["data"] for one in found if one["kind"] == "ConfigMap"}
    boards = [one["spec"] for one in found if one["kind"] == "GrafanaDashboard"]
    assert len(boards) == len(maps) == len(BOARDS)
    for spec in boards:
        assert spec["instanceSelector"] == {"matchLabels": {"dashboards": "grafana"}}
        assert spec["configMapRef"]["key"] in maps[spec["configMapRef"]["name"]]


NODES = 200
MINUTES = 60
METRIC = re.compile(r"([a-zA-Z_:][\w:]*)\{")
OF_A_SERIES = {
    "metricat:node_network_bytes:rate": {"device": "eth0", "direction": "receive"},
    "node_scrape_collector_duration_seconds": {},
    **{
        f"metricat_process_{what}": {"name": "worker", "pod_uid": ""}
        for what in ("cpu_ratio", "resident_memory_bytes", "threads")
    },
}


def ranked() -> list[str]:
    """Return the queries of the panels that show the ten highest series over time."""
    panels = (panel for board in BOARDS for panel in board.panels if panel.kind == "timeseries")
    found = [query.expr for panel in panels for query in panel.queries if "topk" in query.expr]
    for name, value in {
        "$cluster": ".*",
        "$target": ".*",
        "$node": ".*",
        "$__range": "1h",
        "$__rate_interval": "4m",
    }.items():
        found = [expr.replace(name, value) for expr in found]
    return found


def test_the_ten_highest_are_at_most_ten_series_in_an_hour(tmp_path: Path) -> None:
    """Each minute, other nodes are the highest. `topk` alone returns nearly all of them."""
    end = int(time.time()) // 60 * 60_000
    times = [end - 60_000 * minute for minute in range(MINUTES, -1, -1)]
    queries = ranked()
    samples: dict[Labels, list[tuple[int, float]]] = {}
    for metric in {name for query in queries for name in METRIC.findall(query)}:
        for number in range(NODES):
            place = {"node": f"n{number}", "service": "metricat-nodes", "namespace": "monitoring", "pool": "default"}
            own = {**OF_A_SERIES.get(metric, {}), "pid": str(number), "collector": f"c{number}"}
            values = [float((number * 37 + minute * 61) % NODES) for minute in range(len(times))]
            if metric.endswith("_total"):
                values = list(itertools.accumulate(values))
            samples[from_mapping({NAME: metric, **place, **own})] = list(zip(times, values, strict=True))
    with real_prometheus.running(tmp_path) as prometheus:
        prometheus.write(samples)
        counts = {query: len(prometheus.range(query, times[0], end, 60_000).series) for query in queries}
        each_moment = prometheus.range("topk(10, metricat:node_cpu_usage:percent)", times[0], end, 60_000).series
    assert len(each_moment) > 100
    assert len(counts) >= 10
    assert {query: count for query, count in counts.items() if not 1 <= count <= 10} == {}
