"""Receivers of notifications, and their channels. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

SmtpTls: TypeAlias = Literal["none", "starttls", "tls"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, or the file that has it. Each use reads the file again."""

    value: str = field(default="", repr=False)
    file: str = ""

    def __bool__(self) -> bool:
        """Return whether a secret is given."""
        return bool(self.value or self.file)


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS of a client. Empty texts: the default."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """A URL to send requests to. The URL is a secret: for many services it is the only credential."""

    url: Secret
    tls: Tls = field(default_factory=Tls)
    token: Secret = field(default_factory=Secret)
    token_type: str = "Bearer"  # noqa: S105 -- the type, not a token
    username: str = ""
    password: Secret = field(default_factory=Secret)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: float = 10.0
    """Seconds for one request."""


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """E-mail by SMTP. All recipients get the same message."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int
    encryption: SmtpTls = "starttls"
    hello: str = ""
    username: str = ""
    password: Secret = field(default_factory=Secret)
    tls: Tls = field(default_factory=Tls)
    timeout: float = 30.0
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """A Slack channel, by an incoming webhook, or by the Web API if `token` of the target is given."""

    target: HttpTarget
    channel: str = ""
    mentions: tuple[str, ...] = ()
    """Users, user groups and special mentions, such as ``U024BE7LH``, ``S0615G0KT`` and ``here``."""
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class PagerDutyChannel:
    """A PagerDuty service, by its Events API v2."""

    target: HttpTarget
    routing_key: Secret
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """An HTTP endpoint that receives JSON."""

    target: HttpTarget
    signing_secret: Secret = field(default_factory=Secret)
    most_alerts: int = 0
    """Alerts of one message; 0: all."""
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class AlertmanagerChannel:
    """The Alertmanagers of one cluster. Each of them receives all alerts."""

    targets: tuple[HttpTarget, ...]
    resend_interval: int = 60_000
    """Milliseconds until firing alerts are sent again."""
    send_resolved: bool = True


ChannelSettings: TypeAlias = EmailChannel | SlackChannel | PagerDutyChannel | WebhookChannel | AlertmanagerChannel


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """A receiver: its name, and the channels that each get its notifications, by name."""

    name: str
    channels: tuple[tuple[str, ChannelSettings], ...]
    """The names of the channels, such as ``email-1``, with their settings."""
