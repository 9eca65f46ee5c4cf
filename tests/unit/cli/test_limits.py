"""Servers that send too much: the command fails with a message, and its memory stays bounded."""

import base64
import gzip
import json
import re
from http.server import BaseHTTPRequestHandler
from typing import Any

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


DATA: list[Any] = [
    None,
    {"result": None, "alerts": None},
    {"result": ["a"], "alerts": ["a"]},
    {"result": [{"metric": {}}], "alerts": [{"labels": None}]},
    {"result": [{"metric": {}, "values": [[0]], "value": [0]}], "alerts": [{}]},
    {"result": [{"metric": {}, "values": [5], "value": [0, "x"]}], "alerts": 5},
]


@pytest.mark.parametrize("data", DATA)
def test_response_of_prometheus_with_another_form_is_refused(data: Any) -> None:
    with server(body(json.dumps({"status": "success", "data": data}).encode())) as url:
        client = PrometheusClient(url)
        for read in (lambda: client.evaluations("up", 0, 60, 30), lambda: client.query("up"), client.alerts):
            with pytest.raises(CommandError, match=r"is not a result of the Prometheus API\. Set --prometheus"):
                read()


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (401, b"Unauthorized\n", "returned 401: Unauthorized. It requires other credentials. Set --http.config.file"),
        (404, b"<html>\n<h1>Not found</h1>", "returned 404: <html> <h1>Not found</h1>. Set --prometheus to the base"),
        (422, b'{"error": "too many samples"}', "returned 422: too many samples. Check the query"),
        (500, b"", "returned 500: empty response. Check the log of Prometheus"),
    ],
)
def test_error_of_prometheus_is_one_sentence_with_a_remedy(status: int, content: bytes, message: str) -> None:
    with server(body(content, status)) as url, pytest.raises(CommandError, match=re.escape(message)) as refused:
        PrometheusClient(url).alerts()
    assert "\n" not in str(refused.value)
