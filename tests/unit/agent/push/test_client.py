"""The HTTP client: headers, authentication, and what each response means."""

from __future__ import annotations

import ssl
import time
from contextlib import closing
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from metricat_agent.push.client import Answer, Client
from support.certificates import self_signed
from support.push import push_settings
from support.scripted_receiver import Reply, receiving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def send(port: int) -> Answer:
    with closing(Client(push_settings(port))) as client:
        return client.send(b"")


def test_request_is_a_remote_write_request() -> None:
    with receiving() as receiver:
        answer = send(receiver.port)
        assert (answer.status, answer.is_success, answer.is_final) == (204, True, False)
        [request] = receiver.requests
        assert request.path == "/api/v1/write"
        assert request.headers["content-type"] == "application/x-protobuf"
        assert request.headers["content-encoding"] == "snappy"
        assert request.headers["x-prometheus-remote-write-version"] == "0.1.0"
        assert request.headers["user-agent"].startswith("metricat-agent/")
        assert "authorization" not in request.headers


def test_token_is_read_for_each_request(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("one\n")
    with (
        receiving() as receiver,
        closing(Client(push_settings(receiver.port, f"--push.token-file={token}"))) as client,
    ):
        client.send(b"")
        token.write_text("two\n")
        client.send(b"")
        assert [request.headers["authorization"] for request in receiver.requests] == ["Bearer one", "Bearer two"]
        token.unlink()
        answer = client.send(b"")
        assert (answer.status, answer.text) == (0, f"{token}: No such file or directory")


def test_password_is_sent_as_basic_authentication(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2")
    with receiving() as receiver:
        given = push_settings(receiver.port, "--push.username=anna", f"--push.password-file={tmp_path / 'password'}")
        with closing(Client(given)) as client:
            client.send(b"")
        assert receiver.requests[0].headers["authorization"] == "Basic YW5uYTpodW50ZXIy"


@pytest.mark.parametrize("status", [0, 301, 401, 403, 404, 408, 429, 500, 503])
def test_failures_that_may_pass_are_not_final(status: int) -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(status)]
        answer = send(receiver.port)
        assert (answer.status, answer.is_success, answer.is_final) == (status, False, False)


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_rejections_are_final_and_have_the_text_of_the_receiver(status: int) -> None:
    with receiving() as receiver:
        headers = {"X-Prometheus-Remote-Write-Samples-Written": "3"}
        receiver.replies = [Reply(status, headers, b"out of\x07 order sample\nmore" + b"x" * 200_000)]
        answer = send(receiver.port)
        assert (answer.is_final, answer.text, answer.written) == (True, "out of  order sample", 3)
        assert send(receiver.port).is_final


@pytest.mark.parametrize(
    ("header_at", "least", "most"),
    [
        (lambda _: "7", 7, 7),
        (lambda now: formatdate(now + 1000, usegmt=True), 900, 1000),
        (lambda _: formatdate(0, usegmt=True), 0, 0),
    ],
    ids=["seconds", "date", "past"],
)
def test_retry_after_is_seconds_or_a_date(header_at: Callable[[float], str], least: float, most: float) -> None:
    header = header_at(time.time())
    with receiving() as receiver:
        receiver.replies = [Reply(503, {"Retry-After": header})]
        wanted = send(receiver.port).retry_after
        assert wanted is not None
        assert least <= wanted <= most


@pytest.mark.parametrize("header", ["soon", "-1", "1.5", "Mon, 99 Foo 2026"])
def test_invalid_retry_after_is_ignored(header: str) -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(503, {"Retry-After": header})]
        assert send(receiver.port).retry_after is None


def test_idle_connection_that_the_receiver_closed_is_replaced() -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(), Reply(0), Reply()]
        with closing(Client(push_settings(receiver.port))) as client:
            assert [client.send(b"").status for _ in range(2)] == [204, 204]
        assert len(receiver.requests) == 3


def test_unreachable_receiver_is_reported() -> None:
    with receiving() as receiver:
        port = receiver.port
    answer = send(port)
    assert (answer.status, answer.text) == (0, "Connection refused")


def test_certificate_must_be_signed_by_the_given_ca(tmp_path: Path) -> None:
    for name in ("server", "other"):
        self_signed(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    with receiving(context) as receiver:
        url = f"https://localhost:{receiver.port}/api/v1/write"
        for name, status in (("server", 204), ("other", 0)):
            given = push_settings(1, f"--push.tls-ca-file={tmp_path / name}.crt")
            with closing(Client(replace(given, url=url))) as client:
                answer = client.send(b"")
            assert answer.status == status, answer.text
        assert "certificate verify failed" in answer.text
