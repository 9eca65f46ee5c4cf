"""The section `receivers` of the settings file, with the keys of Alertmanager's file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from metricat_agent.config.loader import SettingError, expanded
from metricat_agent.config.yaml_text import Node, YamlError, read_file
from metricat_hub.config.outputs import parse_headers
from metricat_hub.config.sections import ConfigFileError, Section, whole
from metricat_hub.model.durations import parse_duration
from metricat_hub.model.receivers import (
    AlertmanagerChannel,
    ChannelSettings,
    EmailChannel,
    HttpTarget,
    PagerDutyChannel,
    ReceiverSettings,
    Secret,
    SlackChannel,
    Tls,
    WebhookChannel,
)
from metricat_hub.model.server import checked_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metricat_hub.model.receivers import SmtpTls

    Parser: TypeAlias = Callable[[Section, Path], ChannelSettings]

SECTION = "receivers"
_SLACK_API = "https://slack.com/api/chat.postMessage"
_PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
_TLS = ("ca_file", "cert_file", "key_file", "server_name", "insecure_skip_verify")
_HTTP = ("http_config", "headers", "timeout", "send_resolved")
_EMAIL = (
    *("to", "from", "smarthost", "hello", "auth_username", "auth_password", "auth_password_file", "require_tls"),
    *("force_implicit_tls", "tls_config", "timeout", "send_resolved"),
)
_SLACK = ("api_url", "api_url_file", "bot_token", "bot_token_file", "channel", "mentions", *_HTTP)
_PAGERDUTY_KEYS = ("routing_key", "routing_key_file", "url", *_HTTP)
_WEBHOOK = ("url", "url_file", "signing_secret", "signing_secret_file", "max_alerts", *_HTTP)
_ALERTMANAGER = ("urls", "resend_interval", "http_config", "headers", "timeout")
_TEXT_REMEDY = "remove it: the hub has a fixed text for notifications"
_UNSUPPORTED = {
    **dict.fromkeys(
        ("html", "text", "title", "title_link", "pretext", "fallback", "fields", "actions", "color", "footer"),
        _TEXT_REMEDY,
    ),
    **dict.fromkeys(
        ("username", "icon_emoji", "icon_url", "short_fields", "link_names", "mrkdwn_in", "image_url", "thumb_url"),
        _TEXT_REMEDY,
    ),
    **dict.fromkeys(
        ("description", "severity", "details", "images", "links", "class", "component", "group", "source"), _TEXT_REMEDY
    ),
    **dict.fromkeys(("client", "client_url", "threading", "update_message"), _TEXT_REMEDY),
    "service_key": "use routing_key of an integration with the type Events API v2",
    "service_key_file": "use routing_key_file for an integration with the type Events API v2",
    "auth_identity": "remove it: the hub authenticates as auth_username",
    "auth_secret": "use auth_password; the hub uses it for CRAM-MD5 too",
    "auth_secret_file": "use auth_password_file; the hub uses it for CRAM-MD5 too",
    "bearer_token": "use authorization with credentials",
    "bearer_token_file": "use authorization with credentials_file",
    "http_headers": "use headers, next to http_config",
    "callback_id": _TEXT_REMEDY,
    **dict.fromkeys(
        ("oauth2", "proxy_url", "proxy_from_environment", "no_proxy", "proxy_connect_header"),
        "send to a service that the hub reaches directly",
    ),
    **dict.fromkeys(("follow_redirects", "enable_http2"), "remove it; give the final URL"),
    **dict.fromkeys(
        (
            *("discord_configs", "mattermost_configs", "msteams_configs", "msteamsv2_configs", "opsgenie_configs"),
            *("pushover_configs", "rocketchat_configs", "sns_configs", "telegram_configs", "victorops_configs"),
            *("webex_configs", "wechat_configs", "jira_configs", "incidentio_configs"),
        ),
        "use webhook_configs, or send the alerts to an Alertmanager with alertmanager_configs",
    ),
}
_MENTION = re.compile(r"[UWS][A-Z0-9]{2,20}|here|channel|everyone", re.ASCII)
_CHANNEL = re.compile(r"[#@]?[^\s#@,:<>]{1,80}")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", re.ASCII)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CHANNEL_KINDS = ("email", "slack", "pagerduty", "webhook", "alertmanager")


def parse_receivers(path: str, environment: Mapping[str, str]) -> tuple[ReceiverSettings, ...]:
    """Return the receivers of a settings file; an empty tuple without a file, or without the section.

    Raises:
        ConfigFileError: a receiver is not valid.
    """
    try:
        root = read_file(path) if path else None
    except YamlError as error:
        raise ConfigFileError(f"{path}: {error}") from None
    node = root.value.get(SECTION) if root is not None and isinstance(root.value, dict) else None
    if root is None or node is None or node.is_null:
        return ()
    whole_file = Section(
        Node({SECTION: _with_variables(node, environment, path)}, node.line, "map"), "", path, [SECTION]
    )
    whole_file.unsupported = lambda key: _UNSUPPORTED.get(key, "")
    folder = Path(path).absolute().parent
    found: dict[str, ReceiverSettings] = {}
    for section in whole_file.sections(SECTION, ("name", *(f"{kind}_configs" for kind in _CHANNEL_KINDS))):
        one = _receiver(section, folder)
        if one.name in found:
            section.fail("name", f"two receivers have the name '{one.name}'; rename one of them")
        found[one.name] = one
    return tuple(found.values())


def _with_variables(node: Node, environment: Mapping[str, str], path: str) -> Node:
    """Return a node whose texts have the values of variables instead of ``${NAME}``."""
    if isinstance(node.value, dict):
        return replace(node, value={key: _with_variables(one, environment, path) for key, one in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_with_variables(one, environment, path) for one in node.value])
    try:
        return replace(node, value=expanded(str(node.value), f"{path}: line {node.line}", environment))
    except SettingError as error:
        raise ConfigFileError(str(error)) from None


def _receiver(section: Section, folder: Path) -> ReceiverSettings:
    name = section.text("name")
    if not name or not name.isprintable() or len(name) > 200:
        section.fail(
            "name", "missing, too long or not printable; write a name of up to 200 characters, for example default"
        )
    parsers: Mapping[str, tuple[tuple[str, ...], Parser]] = {
        "email": (_EMAIL, _email),
        "slack": (_SLACK, _slack),
        "pagerduty": (_PAGERDUTY_KEYS, _pagerduty),
        "webhook": (_WEBHOOK, _webhook),
        "alertmanager": (_ALERTMANAGER, _alertmanager),
    }
    channels = [
        (f"{kind}-{number}", parse(one, folder))
        for kind, (keys, parse) in parsers.items()
        for number, one in enumerate(section.sections(f"{kind}_configs", keys), 1)
    ]
    return ReceiverSettings(name, tuple(channels))


def _email(section: Section, folder: Path) -> EmailChannel:
    host, port = _smarthost(section)
    encryption: SmtpTls = "starttls" if section.switch("require_tls", default=True) else "none"
    if section.switch("force_implicit_tls", default=port == 465):
        encryption = "tls"
    username, password = section.text("auth_username"), _secret(section, "auth_password", folder)
    if bool(username) != bool(password):
        section.fail("auth_username", "auth_username and auth_password_file require each other; set both")
    if username and encryption == "none" and host not in _LOOPBACK:
        section.fail("auth_username", "the password would be sent unencrypted; set require_tls: true")
    return EmailChannel(
        to=_addresses(section, "to"),
        sender=_addresses(section, "from")[0],
        host=host,
        port=port,
        encryption=encryption,
        hello=section.parsed("hello", _host_name, ""),
        username=username,
        password=password,
        tls=_tls(section, folder),
        timeout=_timeout(section, "30s"),
        send_resolved=section.switch("send_resolved", default=True),
    )


def _slack(section: Section, folder: Path) -> SlackChannel:
    url, token = _url(section, "api_url", folder, ""), _secret(section, "bot_token", folder)
    channel = section.parsed("channel", _slack_channel, "")
    if bool(url) == bool(token):
        section.fail("api_url", "set either api_url_file, for an incoming webhook, or bot_token_file and channel")
    if token and not channel:
        section.fail("channel", "missing; write the channel that the bot posts to, for example #alerts")
    mentions = section.texts("mentions")
    for one in mentions:
        if not _MENTION.fullmatch(one):
            section.fail("mentions", f"invalid mention '{one}'; write an ID such as U024BE7LH or S0615G0KT, or here")
    target = replace(_target(section, url or Secret(_SLACK_API), folder), token=token)
    return SlackChannel(target, channel, mentions, section.switch("send_resolved", default=True))


def _pagerduty(section: Section, folder: Path) -> PagerDutyChannel:
    key = _secret(section, "routing_key", folder)
    if not key:
        section.fail(
            "routing_key", "missing; set routing_key_file to a file with the key of an Events API v2 integration"
        )
    target = _target(section, _url(section, "url", folder, _PAGERDUTY), folder)
    return PagerDutyChannel(target, key, section.switch("send_resolved", default=True))


def _webhook(section: Section, folder: Path) -> WebhookChannel:
    url = _url(section, "url", folder, "")
    if not url:
        section.fail("url", "missing; set url or url_file")
    return WebhookChannel(
        _target(section, url, folder),
        _secret(section, "signing_secret", folder),
        section.parsed("max_alerts", whole, 0),
        section.switch("send_resolved", default=True),
    )


def _alertmanager(section: Section, folder: Path) -> AlertmanagerChannel:
    targets = []
    for url in section.texts("urls"):
        try:
            targets.append(_target(section, Secret(checked_url(url)), folder))
        except ValueError as error:
            section.fail("urls", str(error))
    if not targets:
        section.fail("urls", "missing; write the URL of each Alertmanager, for example [http://alertmanager:9093]")
    interval = section.parsed("resend_interval", parse_duration, 60_000)
    if not 1_000 <= interval <= 3_600_000:
        section.fail("resend_interval", "outside of 1s to 1h; write for example 1m")
    return AlertmanagerChannel(tuple(targets), interval)


def _target(section: Section, url: Secret, folder: Path) -> HttpTarget:
    try:
        headers = parse_headers(f"{name}: {value}" for name, value in section.pairs("headers").items())
    except ValueError as error:
        section.fail("headers", str(error))
    target = HttpTarget(url, headers=headers, timeout=_timeout(section, "10s"))
    http = section.section("http_config", ("basic_auth", "authorization", "tls_config"))
    if http is None:
        return target
    basic = http.section("basic_auth", ("username", "password", "password_file"))
    authorization = http.section("authorization", ("type", "credentials", "credentials_file"))
    if basic and authorization:
        http.fail("basic_auth", "cannot be combined with authorization; remove one of them")
    if basic:
        username, password = basic.text("username"), _secret(basic, "password", folder)
        if not username:
            basic.fail("username", "missing; set username")
        if ":" in username:
            basic.fail("username", "contains a colon, which basic authentication does not permit; use another user")
        if not password:
            basic.fail("password", "missing; set password_file")
        target = replace(target, username=username, password=password)
    if authorization:
        token = _secret(authorization, "credentials", folder)
        if not token:
            authorization.fail("credentials", "missing; set credentials_file")
        target = replace(target, token=token, token_type=authorization.parsed("type", _word, "Bearer"))
    return replace(target, tls=_tls(http, folder))


def _tls(section: Section, folder: Path) -> Tls:
    tls = section.section("tls_config", _TLS)
    if tls is None:
        return Tls()
    ca_file, cert_file, key_file = (_file(tls, key, folder) for key in ("ca_file", "cert_file", "key_file"))
    if bool(cert_file) != bool(key_file):
        tls.fail("cert_file", "cert_file and key_file require each other; set both")
    skip = tls.switch("insecure_skip_verify", default=False)
    return Tls(ca_file, cert_file, key_file, tls.text("server_name"), insecure_skip_verify=skip)


def _secret(section: Section, key: str, folder: Path) -> Secret:
    """Return the secret of a key, or of the file that the key with ``_file`` names."""
    value, file = section.text(key), _file(section, f"{key}_file", folder)
    if value and file:
        section.fail(key, f"cannot be combined with {key}_file; remove one of them")
    if value and not (value.isascii() and value.isprintable()):
        section.fail(key, "not one line of printable ASCII; remove line breaks and characters outside of ASCII")
    return Secret(value, file)


def _url(section: Section, key: str, folder: Path, default: str) -> Secret:
    url = _secret(section, key, folder)
    if url.value:
        try:
            checked_url(url.value)
        except ValueError as error:
            section.fail(key, str(error))
    return url or Secret(default)


def _file(section: Section, key: str, folder: Path) -> str:
    """Return the path of a file that exists; empty without the key."""
    if key not in section.values or not (text := section.text(key)):
        return ""
    file = folder / text
    if not file.is_file():
        section.fail(key, f"{file} is not a file; set the path of an existing file")
    return str(file)


def _timeout(section: Section, default: str) -> float:
    milliseconds = section.parsed("timeout", parse_duration, parse_duration(default))
    if not 1_000 <= milliseconds <= 300_000:
        section.fail("timeout", f"outside of 1s to 5m; write for example {default}")
    return milliseconds / 1000


def _smarthost(section: Section) -> tuple[str, int]:
    found = _HOST.fullmatch(section.text("smarthost"))
    if not found or not 0 < int(found[3]) < 65536:
        section.fail("smarthost", "missing or not HOST:PORT; write for example smtp.example.org:587")
    return found[1] or found[2], int(found[3])


def _addresses(section: Section, key: str) -> tuple[str, ...]:
    """Return the e-mail addresses of a text with commas, or of a list."""
    node = section.values.get(key)
    texts = section.texts(key) if node is not None and node.kind == "seq" else section.text(key).split(",")
    found = tuple(filter(None, (text.strip() for text in texts)))
    if not found:
        section.fail(key, "missing; write an e-mail address, for example ops@example.org")
    from email.headerregistry import Address  # noqa: PLC0415 -- takes memory

    for one in found:
        try:
            is_valid = one.isprintable() and bool(Address(addr_spec=one).domain)
        except (ValueError, IndexError, AttributeError):
            is_valid = False
        if not is_valid or any(char in one for char in " <>,;\"'"):
            section.fail(key, f"invalid e-mail address '{one}'; write for example ops@example.org")
    return found


def _slack_channel(text: str) -> str:
    if not _CHANNEL.fullmatch(text):
        raise ValueError(f"invalid channel '{text}'; write for example #alerts, or the ID of a channel")
    return text


def _host_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", text):
        raise ValueError(f"invalid host name '{text}'; write for example hub.example.org")
    return text


def _word(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,50}", text):
        raise ValueError(f"invalid type '{text}'; write for example Bearer")
    return text
