"""The section `receivers`: Alertmanager's keys, secrets in files and variables, and errors with a remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_hub.config.receivers import parse_receivers
from metricat_hub.config.sections import ConfigFileError
from metricat_hub.model.receivers import (
    AlertmanagerChannel,
    EmailChannel,
    PagerDutyChannel,
    Secret,
    SlackChannel,
    WebhookChannel,
)

if TYPE_CHECKING:
    from pathlib import Path

FULL = """
receivers:
  - name: default
    email_configs:
      - to: ops@example.org, dba@example.org
        from: hub@example.org
        smarthost: smtp.example.org:587
        hello: hub.example.org
        auth_username: hub
        auth_password_file: password
        tls_config: {ca_file: password, server_name: smtp}
      - {to: [a@example.org], from: b@example.org, smarthost: "[::1]:465", send_resolved: false}
    slack_configs:
      - {api_url_file: password, mentions: [here, U024BE7LH]}
      - {bot_token: "${TOKEN}", channel: "#alerts"}
    pagerduty_configs:
      - routing_key_file: password
    webhook_configs:
      - url: https://example.org/hook/
        signing_secret_file: password
        headers: {X-Team: ops}
        timeout: 3s
        max_alerts: 10
        http_config: {authorization: {type: Token, credentials: "${TOKEN}"}}
    alertmanager_configs:
      - urls: [http://am-0:9093/, http://am-1:9093]
        resend_interval: 30s
        http_config: {basic_auth: {username: hub, password_file: password}}
  - name: nothing
"""


def parsed(folder: Path, text: str) -> dict[str, dict[str, object]]:
    (folder / "password").write_text("sesame\n")
    (folder / "hub.yaml").write_text(text)
    found = parse_receivers(str(folder / "hub.yaml"), {"TOKEN": "a-token"})
    return {one.name: dict(one.channels) for one in found}


def test_all_kinds_of_channels_are_read(tmp_path: Path) -> None:
    found = parsed(tmp_path, FULL)
    secret = Secret(file=str(tmp_path / "password"))
    assert found["nothing"] == {}
    channels = found["default"]
    assert list(channels) == [
        *("email-1", "email-2", "slack-1", "slack-2", "pagerduty-1", "webhook-1", "alertmanager-1"),
    ]
    mail, second = channels["email-1"], channels["email-2"]
    assert isinstance(mail, EmailChannel)
    assert isinstance(second, EmailChannel)
    assert (mail.to, mail.host, mail.port) == (("ops@example.org", "dba@example.org"), "smtp.example.org", 587)
    assert (mail.encryption, mail.password, mail.tls.server_name) == ("starttls", secret, "smtp")
    assert (second.host, second.encryption, second.send_resolved) == ("::1", "tls", False)
    slack, bot = channels["slack-1"], channels["slack-2"]
    assert isinstance(slack, SlackChannel)
    assert isinstance(bot, SlackChannel)
    assert (slack.target.url, slack.mentions) == (secret, ("here", "U024BE7LH"))
    assert (bot.target.token, bot.target.url.value) == (Secret("a-token"), "https://slack.com/api/chat.postMessage")
    pager = channels["pagerduty-1"]
    assert isinstance(pager, PagerDutyChannel)
    assert (pager.routing_key, pager.target.url.value) == (secret, "https://events.pagerduty.com/v2/enqueue")
    hook = channels["webhook-1"]
    assert isinstance(hook, WebhookChannel)
    assert (hook.target.url.value, hook.target.timeout, hook.most_alerts) == ("https://example.org/hook/", 3, 10)
    assert (hook.target.token_type, hook.target.token, hook.signing_secret) == ("Token", Secret("a-token"), secret)
    assert hook.target.headers == (("X-Team", "ops"),)
    alertmanager = channels["alertmanager-1"]
    assert isinstance(alertmanager, AlertmanagerChannel)
    assert [one.url.value for one in alertmanager.targets] == ["http://am-0:9093", "http://am-1:9093"]
    assert (alertmanager.resend_interval, alertmanager.targets[1].password) == (30_000, secret)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "a-token" not in repr(parsed(tmp_path, FULL))


def test_file_without_the_section_has_no_receivers(tmp_path: Path) -> None:
    assert parsed(tmp_path, "listen: 127.0.0.1:0\n") == {}
    assert parse_receivers("", {}) == ()


MAIL = "from: a@b.org, smarthost: 'smtp:25'"
OPEN = "require_tls: false, auth_username: u, auth_password: sesame"


def _basic_auth(settings: str) -> str:
    return f"[{{name: a, webhook_configs: [{{url: http://a, http_config: {{basic_auth: {{{settings}}}}}}}]}}]"


@pytest.mark.parametrize(
    ("receivers", "message"),
    [
        ("{a: b}", "receivers: not a list; write its items as - ITEM"),
        ("[{}]", "receivers[0].name: missing, too long or not printable; write a name"),
        ("[{name: a}, {name: a}]", "receivers[1].name: two receivers have the name 'a'; rename one of them"),
        ("[{name: a, discord_configs: []}]", "discord_configs: the hub does not support this setting"),
        ("[{name: a, webhook_configs: [{uri: x}]}]", "receivers[0].webhook_configs[0].uri: unknown key; use one of"),
        ("[{name: a, webhook_configs: [{}]}]", "url: missing; set url or url_file"),
        ("[{name: a, webhook_configs: [{url: 'ftp://sesame'}]}]", "url: not a URL with http or https; write"),
        ("[{name: a, webhook_configs: [{url_file: nope}]}]", "nope is not a file; set the path of an existing file"),
        ("[{name: a, webhook_configs: [{url: http://a, url_file: password}]}]", "cannot be combined with url_file"),
        ("[{name: a, webhook_configs: [{url: '${NOPE}'}]}]", "NOPE is not set in the environment; set it, or write"),
        ("[{name: a, webhook_configs: [{url: http://a, timeout: 1h}]}]", "timeout: outside of 1s to 5m; write"),
        ("[{name: a, webhook_configs: [{url: http://a, headers: {'a b': c}}]}]", "headers: not a header; write"),
        (_basic_auth("password_file: password"), "username: missing; set username"),
        (_basic_auth("username: u"), "password: missing; set password_file"),
        (_basic_auth("username: 'u:v', password_file: password"), "username: contains a colon"),
        (_basic_auth("username_file: password"), "unknown key; use one of password, password_file, username"),
        (f"[{{name: a, email_configs: [{{to: x, {MAIL}}}]}}]", "to: invalid e-mail address 'x'; write"),
        (f'[{{name: a, email_configs: [{{to: "x@y.org\\nBcc: z", {MAIL}}}]}}]', "to: invalid e-mail address"),
        ("[{name: a, email_configs: [{to: x@y.org, from: a@b.org}]}]", "smarthost: missing or not HOST:PORT; write"),
        (f"[{{name: a, email_configs: [{{to: x@y.org, {MAIL}, auth_username: u}}]}}]", "require each other; set both"),
        (f"[{{name: a, email_configs: [{{to: x@y.org, {MAIL}, {OPEN}}}]}}]", "sent unencrypted; set require_tls: true"),
        ("[{name: a, slack_configs: [{channel: '#x'}]}]", "set either api_url_file, for an incoming webhook, or"),
        (
            "[{name: a, slack_configs: [{api_url: http://a, mentions: ['@bob']}]}]",
            "invalid mention '@bob'; write",
        ),
        ("[{name: a, pagerduty_configs: [{}]}]", "routing_key: missing; set routing_key_file"),
        ("[{name: a, alertmanager_configs: [{}]}]", "urls: missing; write the URL of each Alertmanager"),
        ("[{name: a, alertmanager_configs: [{urls: [http://a], resend_interval: 2h}]}]", "outside of 1s to 1h; write"),
    ],
)
def test_error_names_file_key_and_remedy(tmp_path: Path, receivers: str, message: str) -> None:
    with pytest.raises(ConfigFileError) as error:
        parsed(tmp_path, f"receivers: {receivers}\n")
    assert message in str(error.value)
    assert str(error.value).startswith(f"{tmp_path / 'hub.yaml'}: line 1: ")
    assert "sesame" not in str(error.value)
