"""Prometheus scrapes the agent in both formats, with TLS, client certificates and passwords; promtool accepts it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from metricat_tools.binaries import ensure
from support.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: text
    scrape_protocols: [PrometheusText0.0.4]
    static_configs: [{{targets: ["127.0.0.1:{plain}"]}}]
  - job_name: openmetrics
    scrape_protocols: [OpenMetricsText1.0.0]
    static_configs: [{{targets: ["127.0.0.1:{plain}"]}}]
  - job_name: authenticated
    scheme: https
    tls_config: {{ca_file: server.crt, cert_file: client.crt, key_file: client.key, server_name: localhost}}
    basic_auth: {{username: anna, password: hunter2}}
    static_configs: [{{targets: ["127.0.0.1:{authenticated}"]}}]
  - job_name: wrong-password
    scheme: https
    tls_config: {{ca_file: server.crt, cert_file: client.crt, key_file: client.key, server_name: localhost}}
    basic_auth: {{username: anna, password: wrong}}
    static_configs: [{{targets: ["127.0.0.1:{authenticated}"]}}]
"""
WEB = """
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: client.crt
basic_auth_users: {anna: '$2b$04$abcdefghijklmnopqrstuuV3duMsC0HpUex6N9qapiuOHHWkwRXVm'}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str | Path], folder: Path) -> Iterator[None]:
    with subprocess.Popen([*map(str, command)], cwd=folder, stderr=subprocess.DEVNULL) as program:
        try:
            yield
        finally:
            program.terminate()


def query(port: int, text: str) -> dict[str, float]:
    """Return the result of a query by job; an empty dict while Prometheus is not ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?query={quote(text)}", timeout=5) as response:
            found = json.load(response)["data"]["result"]
    except OSError:
        return {}
    return {series["metric"]["job"]: float(series["value"][1]) for series in found}


def test_prometheus_scrapes_both_formats_and_with_authentication(tmp_path: Path) -> None:
    for name in ("server", "client"):
        self_signed(tmp_path, name)
    plain, authenticated, own = free_port(), free_port(), free_port()
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "prometheus.yml").write_text(CONFIG.format(plain=plain, authenticated=authenticated))
    agent = [sys.executable, "-m", "metricat_agent"]
    prometheus = [
        *(str(ensure("prometheus")["prometheus"]), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        f"--web.listen-address=127.0.0.1:{own}",
    ]
    with (
        running([*agent, f"--web.listen-address=127.0.0.1:{plain}"], tmp_path),
        running([*agent, f"--web.listen-address=127.0.0.1:{authenticated}", "--web.config.file=web.yaml"], tmp_path),
        running(prometheus, tmp_path),
    ):
        expected = {"text": 1.0, "openmetrics": 1.0, "authenticated": 1.0, "wrong-password": 0.0}
        deadline = time.monotonic() + 30
        while query(own, "up") != expected and time.monotonic() < deadline:
            time.sleep(0.3)
        assert query(own, "up") == expected
        samples = query(own, "scrape_samples_scraped")
        assert samples["text"] == pytest.approx(samples["openmetrics"], abs=20)
        assert samples["text"] > 300
        assert set(query(own, "max by (job) (node_memory_MemTotal_bytes)")) == {"text", "openmetrics", "authenticated"}
