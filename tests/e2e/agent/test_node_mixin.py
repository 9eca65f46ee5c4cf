"""The queries of node_exporter's mixin return for the agent what they return for node_exporter on the same host.

kube-prometheus-stack takes its rules, alerts and dashboards about nodes from this mixin. A Prometheus scrapes both
exporters and evaluates the mixin's recording rules for each. The jsonnet files are those of node_exporter's Go module.
"""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import textwrap
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from metricat_hub.promql import parser
from metricat_hub.promql.nodes import Selector
from metricat_tools.binaries import ensure, module_dir
from support.exporters import running
from support.scraping_prometheus import ScrapingPrometheus, scraping_prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

JOBS = ("agent", "node_exporter")
SECONDS = 30
"""Rates and rules need several scrapes, one each second."""
OTHER_SYSTEMS = re.compile(r"node_memory_[a-z]|Darwin|AIX")
"""Queries for Darwin and AIX."""
_QUERY = re.compile(r"prometheus\.new\(\s*'\$datasource',\s*(?:\|\|\|\n(.*?)\|\|\||'([^\n]*?)')\s*(%)?", re.DOTALL)


def mixin() -> Path:
    return module_dir("node_exporter", "github.com/prometheus/node_exporter") / "docs" / "node-mixin"


def rendered(job: str) -> dict[str, Any]:
    """Return the settings, rules and alerts of the mixin for a job. The dashboards need a library of Grafana."""
    snippet = (
        "local all = (import 'config.libsonnet') + (import 'alerts/alerts.libsonnet')"
        " + (import 'rules/rules.libsonnet')"
        f" + {{ _config+:: {{ nodeExporterSelector: 'job=\"{job}\"' }} }};"
        "{ config: all._config, rules: all.prometheusRules.groups, alerts: all.prometheusAlerts.groups }"
    )
    command: list[str | Path] = [ensure("jsonnet")["jsonnet"], "--jpath", mixin(), "--exec", snippet]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=mixin())
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def dashboard_queries(config: dict[str, str]) -> list[str]:
    """Return the queries of the dashboards for Linux, with the variables replaced as Grafana does."""
    texts = [(mixin() / name).read_text() for name in ("lib/prom-mixin.libsonnet", "dashboards/use.libsonnet")]
    found = []
    for block, line, template in (match for text in texts for match in _QUERY.findall(text)):
        query = textwrap.dedent(block) or line.replace("\\'", "'")
        query = query % config if template else query
        for name, value in (
            ("$__rate_interval", "1m"),
            ("$__interval", "1m"),
            ("$instance", "host"),
            ("$cluster", ".*"),
        ):
            query = query.replace(name, value)
        if not OTHER_SYSTEMS.search(query):
            found.append(query.strip().removesuffix("!= 0"))  # an idle device has a series too
    return found


def selectors(query: str) -> set[str]:
    """Return the selectors of a query, each as a query of its own."""
    found = [node for node in _nodes(parser.parse(query)) if isinstance(node, Selector)]
    return {
        "{" + ",".join(f"{one.name}{one.operator}{json.dumps(one.value)}" for one in node.matchers) + "}"
        for node in found
    }


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        for one in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(one):
                yield from _nodes(one)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScrapingPrometheus]:
    """A Prometheus that has scraped both exporters and evaluated the rules of both."""
    folder = tmp_path_factory.mktemp("mixin")
    programs: dict[str, list[str | Path]] = {
        "agent": [sys.executable, "-m", "metricat_agent"],
        "node_exporter": [ensure("node_exporter")["node_exporter"]],
    }
    with ExitStack() as stack:
        scrapes = [
            {
                "job_name": job,
                "static_configs": [{"targets": [f"127.0.0.1:{stack.enter_context(running(programs[job]))}"]}],
                "relabel_configs": [{"target_label": "instance", "replacement": "host"}],
            }
            for job in JOBS
        ]
        for job in JOBS:
            groups = [{**group, "name": f"{job} {group['name']}", "interval": "1s"} for group in rendered(job)["rules"]]
            (folder / f"{job}.rules").write_text(yaml.safe_dump({"groups": groups}))
        every = {"scrape_interval": "1s", "scrape_timeout": "1s"}
        text = yaml.safe_dump({"global": every, "rule_files": ["*.rules"], "scrape_configs": scrapes})
        started = stack.enter_context(scraping_prometheus(folder, text))
        time.sleep(SECONDS)
        yield started


def labels(prometheus: ScrapingPrometheus, query: str) -> set[tuple[tuple[str, str], ...]]:
    """Return the label sets of a result, without the job."""
    return {
        tuple(sorted((key, value) for key, value in one["metric"].items() if key != "job"))
        for one in prometheus.query(query)
    }


def test_recording_rules_have_the_same_series(prometheus: ScrapingPrometheus) -> None:
    groups = prometheus.get("rules")["groups"]
    assert [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")] == []
    records = sorted({rule["name"] for group in groups for rule in group["rules"]})
    assert len(records) >= 15
    ours, theirs = ({name: labels(prometheus, f'{name}{{job="{job}"}}') for name in records} for job in JOBS)
    assert ours == theirs
    assert [name for name in records if not ours[name]] == []


def test_queries_of_dashboards_return_the_same_series(prometheus: ScrapingPrometheus) -> None:
    ours, theirs = (dashboard_queries(rendered(job)["config"]) for job in JOBS)
    assert len(ours) > 40
    different = {
        query: (found, expected)
        for query, other in zip(ours, theirs, strict=True)
        if (found := labels(prometheus, query)) != (expected := labels(prometheus, other))
    }
    assert different == {}
    empty = [query for query in ours if not prometheus.query(query)]
    print(f"dashboards: {len(ours)} queries, {len(ours) - len(empty)} with a result")  # noqa: T201 -- for `pytest -s`
    assert len(empty) < len(ours) / 4, empty


def test_selectors_of_alerts_return_the_same_series(prometheus: ScrapingPrometheus) -> None:
    ours, theirs = ([rule for group in rendered(job)["alerts"] for rule in group["rules"]] for job in JOBS)
    assert len(ours) > 20
    different, answered, asked = {}, 0, 0
    for rule, other in zip(ours, theirs, strict=True):
        assert prometheus.get("query", query=rule["expr"]) is not None, rule
        for one, two in zip(sorted(selectors(rule["expr"])), sorted(selectors(other["expr"])), strict=True):
            found, expected = labels(prometheus, one), labels(prometheus, two)
            asked, answered = asked + 1, answered + bool(found)
            if found != expected:
                different[rule["alert"], one] = (found, expected)
    print(f"alerts: {len(ours)} alerts, {asked} selectors, {answered} with series")  # noqa: T201 -- for `pytest -s`
    assert different == {}
