"""The API of the hub evaluates the rules and the dashboards as a real Prometheus does, from the same remote writes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from metricat_hub.model.labels import NAME, from_mapping
from support import hub_process, real_prometheus
from support.prometheus_api import PrometheusApi
from support.promtool import rules
from support.recorded_pages import MINUTE, dashboard_queries, recorded

if TYPE_CHECKING:
    from pathlib import Path

    from support.prometheus_api import Answer

STEP = 30_000


def test_rules_and_panels_have_the_same_results(tmp_path: Path) -> None:
    start = (int(time.time()) - 45 * 60) * 1000
    end = start + 39 * MINUTE
    panels = dashboard_queries()
    with real_prometheus.running(tmp_path) as prometheus, hub_process.running(tmp_path / "hub") as process:
        hub = PrometheusApi(process.url, process.authorization)

        def both(query: str) -> Answer:
            expected = prometheus.range(query, start + 6 * MINUTE, end, STEP)
            assert_same(query, hub.range(query, start + 6 * MINUTE, end, STEP), expected)
            assert_same(query, hub.instant(query, end), prometheus.instant(query, end))
            return expected

        def write(samples: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]) -> None:
            prometheus.write(samples)
            hub.write(samples)

        write(recorded(start))
        for group in rules(60)["groups"]:
            for rule in group["rules"]:
                answer = both(rule["expr"])
                if "record" in rule and answer.series:
                    write(recordings(rule["record"], rule.get("labels", {}), answer))
        with_data = sum(bool(both(query).series) for query in panels)
    sys.stdout.write(f"{len(panels)} panels, {with_data} with data\n")
    assert len(panels) > 50
    assert with_data > 30


def recordings(
    name: str, extra: dict[str, str], answer: Answer
) -> dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]:
    """Return the samples that a recording rule writes."""
    return {
        from_mapping({**dict(labels), NAME: name, **extra}): [
            (round(at * 1000), value) for at, value in zip(*points, strict=True)
        ]
        for labels, points in answer.series.items()
    }


def assert_same(query: str, hub: Answer, prometheus: Answer) -> None:
    """Compare errors, warnings, series, times and values; values within 1e-12."""
    assert (hub.error, hub.warnings, hub.infos) == (prometheus.error, prometheus.warnings, prometheus.infos), query
    assert hub.series.keys() == prometheus.series.keys(), query
    for labels, (times, values) in prometheus.series.items():
        assert hub.series[labels][0] == times, (query, labels)
        assert hub.series[labels][1] == pytest.approx(values, rel=1e-12, abs=0, nan_ok=True), (query, labels)
