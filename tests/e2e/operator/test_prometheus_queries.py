"""Queries to a real Prometheus, with and without TLS, under a path, and as an agent."""

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from metricat_operator.cluster.prometheus_client import QueryError, query_prometheus, session
from metricat_operator.facts.prometheus_query import (
    Endpoint,
    Job,
    PrometheusPod,
    PrometheusQuery,
    QueryResult,
    RuleGroup,
)
from metricat_tools.binaries import ensure
from metricat_tools.stack.wait import until
from support.certificates import self_signed
from support.harness import free_port

POOL = "serviceMonitor/monitoring/metricat-nodes/0"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: serviceMonitor/monitoring/metricat-nodes/0
    scheme: https
    metrics_path: /prom/metrics
    tls_config: {{insecure_skip_verify: true}}
    relabel_configs:
      - {{target_label: job, replacement: metricat}}
      - {{target_label: namespace, replacement: monitoring}}
      - {{target_label: service, replacement: metricat-nodes}}
    static_configs:
      - {{targets: ["127.0.0.1:{port}"], labels: {{node: n1}}}}
      - {{targets: ["127.0.0.1:1"], labels: {{node: n2}}}}
  - job_name: serviceMonitor/monitoring/empty/0
"""
RULES = """
groups:
  - name: ours
    rules:
      - {record: fine, expr: vector(1)}
      - {record: bad, expr: up * on (job) group_left () up}
"""
OURS = RuleGroup("monitoring-metricat-nodes-uid", "ours")
QUERY = PrometheusQuery(
    "Prometheus monitoring/k8s",
    Endpoint(prefix="/prom", tls=True),
    job=Job("monitoring", "metricat-nodes", POOL, 60),
    groups=(OURS,),
)


@contextmanager
def prometheus(folder: Path, port: int, *options: str, config: str) -> Iterator[subprocess.Popen[bytes]]:
    self_signed(folder, "server")
    (folder / "web.yml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}")
    (folder / "prometheus.yml").write_text(config)
    command: list[str | Path] = [
        *(ensure("prometheus")["prometheus"], "--config.file=prometheus.yml", "--web.config.file=web.yml"),
        *("--web.route-prefix=/prom", f"--web.listen-address=127.0.0.1:{port}", *options),
    ]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as program:
        try:
            yield program
        finally:
            program.terminate()


def query_result(query: PrometheusQuery, port: int) -> QueryResult:
    async def run() -> QueryResult:
        async with session() as connections:
            return await query_prometheus(connections, query, PrometheusPod("0", "prometheus-k8s-0", "127.0.0.1", port))

    with ThreadPoolExecutor(1) as executor:  # the tests of the page leave the browser's event loop in this thread
        return executor.submit(asyncio.run, run()).result()


def settled(query: PrometheusQuery, port: int) -> QueryResult:
    """Wait until it has scraped both targets and evaluated the rules, and return the result."""
    deadline = time.monotonic() + 60
    while True:
        try:
            found = query_result(query, port)
            health = {rule.health for rule in found.rules}
            if found.nodes.get("n1") and found.errors and "unknown" not in health:
                return found
        except QueryError as error:
            assert error.reason in {"Unreachable", "InvalidResponse"}, error  # noqa: PT017 (Prometheus is still starting)
        assert time.monotonic() < deadline, "no complete result within 60 s"
        time.sleep(0.5)


@pytest.mark.slow
def test_query_returns_the_result_with_tls_and_under_a_path(tmp_path: Path) -> None:
    port = free_port()
    config = CONFIG.format(port=port) + "rule_files: [rules-*.yaml]\n"
    (tmp_path / "rules-monitoring-metricat-nodes-uid.yaml").write_text(RULES)
    with prometheus(tmp_path, port, "--storage.tsdb.path=data", config=config) as program:
        found = settled(QUERY, port)
        assert found.nodes == {"n1": True, "n2": False}
        assert "connection refused" in found.errors["n2"]
        assert {rule.name: rule.health for rule in found.rules} == {"fine": "ok", "bad": "err"}
        assert any(rule.error.startswith("found duplicate series") for rule in found.rules)
        empty = replace(QUERY, job=Job("monitoring", "empty", "serviceMonitor/monitoring/empty/0", 60), groups=())
        assert (query_result(empty, port).nodes, query_result(empty, port).configured) == ({}, True)
        other = replace(empty, job=Job("monitoring", "other", "serviceMonitor/monitoring/other/0", 60))
        assert query_result(other, port).configured is False
        (tmp_path / "prometheus.yml").write_text("no: configuration")
        program.send_signal(signal.SIGHUP)
        until("it to reject the configuration", lambda: not query_result(other, port).reloaded, seconds=30)
        with pytest.raises(QueryError, match="routePrefix"):
            query_result(replace(QUERY, web=Endpoint(tls=True)), port)
        with pytest.raises(QueryError):
            query_result(replace(QUERY, web=Endpoint(prefix="/prom")), port)


def test_query_returns_the_targets_of_a_prometheus_agent(tmp_path: Path) -> None:
    port = free_port()
    options = ("--agent", "--storage.agent.path=data")
    with prometheus(tmp_path, port, *options, config=CONFIG.format(port=port)):
        found = settled(replace(QUERY, can_query=False, groups=()), port)
        assert found.nodes == {"n1": True, "n2": False}
        with pytest.raises(QueryError, match="unavailable with Prometheus Agent"):
            query_result(replace(QUERY, groups=()), port)
