"""Helm renders a valid ConfigMap for each dashboard."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import yaml

from metricat_tools.binaries import ensure
from metricat_tools.generate.dashboards import BOARDS
from support.paths import CHART


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
