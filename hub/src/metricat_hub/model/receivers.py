"""Receivers of notifications, and their channels. Pure data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

SmtpTls: TypeAlias = Literal["none", "starttls", "tls"]


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, or the file that contains it. Each use reads the file again."""

    value: str = field(default="", repr=False)
    file: str = ""

    def __bool__(self) -> bool:
        """Return whether a secret is given."""
        return bool(self.value or self.file)


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS settings of a client. An empty text means the default."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """A server to send requests to. Its URL is a secret, because for many services it is the only credential."""

    url: Secret
    tls: Tls = field(default_factory=Tls)
    token: Secret = field(default_factory=Secret)
    token_type: str = "Bearer"  # noqa: S105 -- the type, not a token
    username: str = ""
    password: Secret = field(default_factory=Secret)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout: float = 10.0
    """Timeout of a request in seconds."""


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """E-mail by SMTP. All recipients get the same message. `timeout` is in seconds."""

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
    """A Slack channel, through an incoming webhook, or through the Web API if the target has a token."""

    target: HttpTarget
    channel: str = ""
    mentions: tuple[str, ...] = ()
    """Users, user groups and special mentions, such as ``U024BE7LH``, ``S0615G0KT`` and ``here``."""
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class PagerDutyChannel:
    """A PagerDuty service, through the Events API v2."""

    target: HttpTarget
    routing_key: Secret
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """An HTTP endpoint that receives JSON."""

    target: HttpTarget
    signing_secret: Secret = field(default_factory=Secret)
    most_alerts: int = 0
    """The most alerts in one message; 0: all."""
    send_resolved: bool = True


@dataclass(frozen=True, slots=True)
class AlertmanagerChannel:
    """The Alertmanagers of one cluster. Each of them receives all alerts."""

    targets: tuple[HttpTarget, ...]
    resend_interval: int = 60_000
    """Milliseconds after which the hub sends firing alerts again."""
    send_resolved: bool = True


ChannelSettings: TypeAlias = EmailChannel | SlackChannel | PagerDutyChannel | WebhookChannel | AlertmanagerChannel


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """A receiver: its name and its channels. Each channel gets all notifications of the receiver."""

    name: str
    channels: tuple[tuple[str, ChannelSettings], ...]
    """The names of the channels, such as ``email-1``, with their settings."""
