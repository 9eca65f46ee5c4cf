"""The channels over HTTP, against servers that respond as a test scripts it."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.model.receivers import (
    AlertmanagerChannel,
    HttpTarget,
    PagerDutyChannel,
    Secret,
    SlackChannel,
    Tls,
    WebhookChannel,
)
from metricat_hub.notify.channel import Message
from metricat_hub.notify.channels.opening import open_channel
from metricat_hub.notify.content import describe
from metricat_hub.notify.outcome import DELIVERED
from support.certificates import self_signed
from support.notifications import AT, alert, notification
from support.scripted_receiver import Reply, receiving

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.model.alerts import Notification
    from metricat_hub.model.receivers import ChannelSettings
    from metricat_hub.notify.outcome import Outcome

PATH = "/services/T000/B000/open-sesame"


def target(port: int, path: str = PATH, **settings: Any) -> HttpTarget:
    return HttpTarget(Secret(f"http://127.0.0.1:{port}{path}"), **settings)


def attempt(settings: ChannelSettings, one: Notification | None = None) -> Outcome:
    one = one or notification()
    channel = open_channel(settings)
    try:
        return channel.send(Message(one, describe(one, AT), AT))
    finally:
        channel.close()


@pytest.mark.parametrize(
    ("reply", "result", "error"),
    [
        (Reply(200), "delivered", ""),
        (Reply(204), "delivered", ""),
        (Reply(400, body=b"bad field"), "rejected", "status 400: bad field"),
        (Reply(401), "failed", "status 401: Unauthorized"),
        (Reply(404), "failed", "status 404: Not Found"),
        (Reply(413), "rejected", "status 413: "),
        (Reply(500, body=b"<html>oops"), "failed", "status 500: Internal Server Error"),
        (Reply(307, {"Location": "/other"}), "failed", "redirects to another URL; change the URL"),
        (Reply(0), "failed", "closed connection without response"),
    ],
)
def test_status_decides_whether_the_message_is_sent_again(reply: Reply, result: str, error: str) -> None:
    with receiving() as receiver:
        receiver.replies = [reply]
        outcome = attempt(WebhookChannel(target(receiver.port)))
    assert outcome.result == result
    assert error in outcome.error


def test_retry_after_is_read() -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(429, {"Retry-After": "17"})]
        assert attempt(WebhookChannel(target(receiver.port))).retry_after == 17


def test_server_that_is_down_or_silent_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        found = attempt(WebhookChannel(target(port, timeout=0.2)))
        assert found.error == "no complete response within the timeout of 0.2 s"
    assert attempt(WebhookChannel(target(port))).error == "Connection refused"


def test_certificate_that_does_not_verify_fails(tmp_path: Path) -> None:
    self_signed(tmp_path, "sink")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "sink.crt", tmp_path / "sink.key")
    with receiving(context) as receiver:
        url = Secret(f"https://localhost:{receiver.port}/")
        trusted = Tls(ca_file=str(tmp_path / "sink.crt"))
        assert "certificate" in attempt(WebhookChannel(HttpTarget(url))).error
        assert attempt(WebhookChannel(HttpTarget(url, tls=trusted))) == DELIVERED


def test_webhook_is_signed_and_has_headers_and_credentials() -> None:
    with receiving() as receiver:
        login = {"username": "hub", "password": Secret("open sesame")}
        own = WebhookChannel(
            target(receiver.port, "/hook/", headers=(("X-Team", "ops"),), **login), Secret("a secret"), most_alerts=1
        )
        assert attempt(own, notification(alert(), alert(node="web-2"))) == DELIVERED
    [request] = receiver.requests
    time, _, digest = request.headers["x-metricat-signature"].partition(",v1=")
    expected = hmac.new(b"a secret", time.removeprefix("t=").encode() + b"." + request.body, hashlib.sha256)
    assert digest == expected.hexdigest()
    assert request.path == "/hook/"
    assert request.headers["x-team"] == "ops"
    assert request.headers["authorization"] == "Basic aHViOm9wZW4gc2VzYW1l"
    assert request.headers["idempotency-key"] == "n-1"
    assert json.loads(request.body)["truncatedAlerts"] == 1


def test_files_of_secrets_are_read_for_each_attempt(tmp_path: Path) -> None:
    url, token = tmp_path / "url", tmp_path / "token"
    with receiving() as first, receiving() as second:
        channel = open_channel(
            WebhookChannel(HttpTarget(Secret(file=str(url)), token=Secret(file=str(token)), token_type="Token"))
        )
        message = Message(notification(), describe(notification(), AT), AT)
        assert channel.send(message).error == f"{url}: No such file or directory; set the path of a readable file"
        for receiver, secret in ((first, "one"), (second, "two")):
            url.write_text(f"http://127.0.0.1:{receiver.port}/{secret}\n")
            token.write_text(secret)
            assert channel.send(message) == DELIVERED
            assert (receiver.requests[0].path, receiver.requests[0].headers["authorization"]) == (
                f"/{secret}",
                f"Token {secret}",
            )
        url.write_text("not a URL")
        assert channel.send(message).error.startswith(f"{url}: not a URL with http or https")
        channel.close()


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (Reply(200, body=b"ok"), "delivered"),
        (Reply(400, body=b"invalid_payload"), "rejected"),
        (Reply(400, body=b"invalid_token"), "failed"),
        (Reply(403, body=b"action_prohibited"), "failed"),
        (Reply(410, body=b"channel_is_archived"), "failed"),
        (Reply(429, {"Retry-After": "30"}), "failed"),
    ],
)
def test_slack_webhook_outcomes(reply: Reply, result: str) -> None:
    with receiving() as receiver:
        receiver.replies = [reply]
        assert attempt(SlackChannel(target(receiver.port), mentions=("here",))).result == result
    assert json.loads(receiver.requests[0].body)["text"].startswith("<!here> [FIRING 1] NodeCPUUsageHigh")


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"ok": true, "ts": "1"}', "delivered"),
        (b'{"ok": false, "error": "invalid_auth"}', "failed"),
        (b'{"ok": false, "error": "invalid_blocks"}', "rejected"),
        (b"<html>proxy", "failed"),
    ],
)
def test_slack_api_outcomes(body: bytes, result: str) -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(200, body=body)]
        own = target(receiver.port, "/api/chat.postMessage", token=Secret("xoxb-1"))
        assert attempt(SlackChannel(own, "#alerts")).result == result
    assert receiver.requests[0].headers["authorization"] == "Bearer xoxb-1"
    assert json.loads(receiver.requests[0].body)["channel"] == "#alerts"


def test_pagerduty_triggers_and_resolves_the_incident_of_the_group() -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(202, body=b'{"status":"success"}')]
        own = PagerDutyChannel(target(receiver.port, "/v2/enqueue"), Secret("k" * 32))
        assert attempt(own) == DELIVERED
        assert attempt(own, notification(alert(resolved=True), identity="n-2")) == DELIVERED
        assert attempt(own, notification(reason="test", group_key="test")) == DELIVERED
    found = [json.loads(one.body) for one in receiver.requests]
    group = notification().group_key
    assert [(one["event_action"], one["dedup_key"]) for one in found] == [
        ("trigger", group),
        ("resolve", group),
        ("trigger", "test"),
        ("resolve", "test"),
    ]
    assert found[0]["payload"]["severity"] == "critical"


def test_each_alertmanager_gets_all_alerts_and_one_is_enough() -> None:
    alerts = [alert(node=f"node-{number}") for number in range(300)]
    with receiving() as first, receiving() as second:
        own = AlertmanagerChannel((target(first.port, "/am"), target(second.port, "")))
        assert attempt(own, notification(*alerts)) == DELIVERED
        for receiver, path in ((first, "/am/api/v2/alerts"), (second, "/api/v2/alerts")):
            assert [one.path for one in receiver.requests] == [path] * 2
            assert sum(len(json.loads(one.body)) for one in receiver.requests) == 300
        second.replies = [Reply(500)]
        outcome = attempt(own)
        assert outcome.result == "delivered"
        assert outcome.error == f"http://127.0.0.1:{second.port}: status 500: Internal Server Error"
        first.replies = [Reply(400, body=b"no")]
        assert attempt(own).result == "failed"
        second.replies = [Reply(400)]
        assert attempt(own).result == "rejected"


def test_secrets_of_a_channel_are_those_in_url_headers_and_body() -> None:
    at = target(
        1,
        f"{PATH}?key=let%2Fme-in",
        username="hub",
        password=Secret("pass word"),
        headers=(("X-Token", "token-of-a-header"),),
    )
    own = open_channel(PagerDutyChannel(at, Secret("k" * 32)))
    in_url = {"open-sesame", PATH, "key=let%2Fme-in", "let/me-in"}
    assert in_url | {"pass word", "aHViOnBhc3Mgd29yZA==", "token-of-a-header", "k" * 32} <= set(own.secrets())
    assert own.shown == "http://127.0.0.1:1"
