"""Servers that send too much: the command fails with a message, and its memory stays bounded."""

import base64
import gzip
import json
from http.server import BaseHTTPRequestHandler

import pytest

from metricat_cli import helm_release, prometheus
from metricat_cli.cluster import ApiServer
from metricat_cli.cluster.kubeconfig import Credentials
from metricat_cli.errors import CommandError
from metricat_cli.prometheus import PrometheusClient
from support.fixed_responses import body, server


def secrets(release: bytes) -> bytes:
    """Return the list of one Secret of Helm with this release."""
    data = {"release": base64.b64encode(base64.b64encode(gzip.compress(release))).decode()}
    return json.dumps(
        {"items": [{"metadata": {"name": "sh.helm.release.v1.m.v1", "labels": {}}, "data": data}]}
    ).encode()


def test_helm_release_above_the_limit_is_refused() -> None:
    release = json.dumps({"chart": {"metadata": {"name": "a"}}, "config": {"b": 1}}).encode()
    with server(body(secrets(release))) as url:
        assert helm_release.read(ApiServer(Credentials(url)), "default", "m").values == {"b": 1}
    with (
        server(body(secrets(bytes(65 << 20)))) as url,
        pytest.raises(CommandError, match="cannot read the Helm release"),
    ):
        helm_release.read(ApiServer(Credentials(url)), "default", "m")


def test_response_of_prometheus_above_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "_MOST_BYTES", 1 << 20)
    with server(body(b" " * (2 << 20))) as url, pytest.raises(CommandError, match="more than 1 MiB"):
        PrometheusClient(url).alerts()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "is not a result of the Prometheus API. Set --prometheus"),
        (b"[]", "is not a result of the Prometheus API. Set --prometheus"),
        (b"\xff", "is not a result of the Prometheus API. Set --prometheus"),
    ],
)
def test_broken_response_of_prometheus_is_an_error_of_the_command(content: bytes, message: str) -> None:
    with server(body(content)) as url, pytest.raises(CommandError, match=message):
        PrometheusClient(url).alerts()


def test_response_without_http_is_an_error_of_the_command() -> None:
    def write(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    with server(write) as url, pytest.raises(CommandError, match="cannot reach"):
        PrometheusClient(url).alerts()
