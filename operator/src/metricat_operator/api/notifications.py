"""`spec.notifications`: receivers of the alerts, with their severities, pools and quiet hours.

A receiver holds both its address and its filters, so no reference between objects can be broken. Passwords, tokens and
URLs with a token are references (`{name, key}` of a Secret in the target's namespace). The operator never reads them.
See docs/design/0012.
"""

from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints

from metricat_operator.api.fields import (
    DATA_KEY,
    OBJECT_NAME,
    PORT,
    DeprecatedName,
    Duration,
    Model,
    cel,
    is_duration,
    is_given,
    rule,
)
from metricat_operator.api.labels import ChildLabels
from metricat_operator.naming import DEFAULT_POOL, MAX_NAME
from metricat_rules.alert import Severity
from metricat_rules.durations import spec_seconds

Day = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
DAYS: tuple[Day, ...] = get_args(Day)

_ADDRESS = r"[^\s@,<>\"()]+@[^\s@,<>\"()]+"
_ONE_ADDRESS = rf"([^@,<>\r\n]*<{_ADDRESS}>|{_ADDRESS})"
_HOST = r"([A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?|\[[0-9a-fA-F:.]{2,45}\])"
_URL = rf"https?://([!$&'()*+,.0-9:;=A-Z_a-z~-]+@)?{_HOST}({PORT})?([/?#]([!#$&'()*+,./0-9:;=?@A-Z_a-z~-]|%[0-9A-Fa-f]{{2}})*)?"
"""A URL that Alertmanager accepts. It rejects its whole configuration for another one."""

_LISTED: dict[str, Any] = {"x-kubernetes-list-type": "set"}
_SHORTEST_REPEAT = 60


class SecretKey(Model):
    """A value in a Secret of the target's namespace. Alertmanager reads it, Metricat does not."""

    name: str = Field(pattern=OBJECT_NAME, max_length=MAX_NAME, description="The name of the Secret.")
    key: str = Field(pattern=DATA_KEY, max_length=253, description="The key in the Secret's data.")


class Email(Model):
    """Mail by SMTP, always over TLS: with STARTTLS, or on port 465 from the start."""

    to: str = Field(
        max_length=1024,
        pattern=rf"^\s*{_ONE_ADDRESS}\s*(,\s*{_ONE_ADDRESS}\s*)*$",
        description="Addresses of the recipients, separated by commas, such as ops@example.com.",
    )
    sender: str = Field(
        alias="from", max_length=320, pattern=rf"^\s*{_ONE_ADDRESS}\s*$", description="Address of the sender."
    )
    server: str = Field(
        pattern=rf"^{_HOST}{PORT}$",
        max_length=320,
        description="The mail server and its port, such as smtp.example.com:587.",
    )
    username: str = Field(
        default="", max_length=320, description="User name for the server. Default: no authentication."
    )
    password: SecretKey | None = Field(default=None, description="The password of the user.")
    ca: SecretKey | None = Field(
        default=None, description="CA of the server's certificate, as PEM. Default: the public CAs."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                f"{is_given('username')} == has(self.password)",
                "username and password must be set together. Set both, or neither for a server without authentication.",
            )
        )
    }


class Slack(Model):
    """A channel in Slack, or in a service that accepts Slack's messages."""

    url: SecretKey = Field(description="The URL of the incoming webhook.")
    channel: str = Field(
        default="", max_length=80, description="The channel, such as #alerts. Default: the webhook's channel."
    )


class PagerDuty(Model):
    """A service in PagerDuty (Events API v2)."""

    routing_key: SecretKey = Field(description="The integration key.")
    url: str = Field(
        default="",
        max_length=1024,
        pattern=rf"^({_URL})?$",
        description="The API, such as https://events.eu.pagerduty.com/v2/enqueue. Default: Alertmanager's default.",
    )


class Webhook(Model):
    """A program of yours that receives Alertmanager's JSON by POST."""

    url: str = Field(default="", max_length=1024, pattern=rf"^({_URL})?$", description="URL to send alerts to.")
    url_secret: SecretKey | None = Field(
        default=None, description="The URL in a Secret, for a URL that contains a token."
    )
    token: SecretKey | None = Field(default=None, description="Bearer token to send.")

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                f"{is_given('url')} != has(self.urlSecret)",
                "a webhook needs exactly one of url and urlSecret. Set one and leave out the other.",
            )
        )
    }


Time = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class QuietHours(Model):
    """Hours without messages to the receiver. An alert that still fires is sent after their end."""

    days: tuple[Day, ...] = Field(
        default=DAYS,
        max_length=7,
        description="Days on which the quiet hours begin. Default: every day.",
        json_schema_extra=_LISTED,
    )
    begin: Time = Field(alias="from", max_length=5, description="Start of the quiet hours in UTC, such as 22:00.")
    end: Time = Field(
        alias="to",
        max_length=5,
        description="End of the quiet hours in UTC, such as 06:30. An end before the start is on the next day.",
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule("self.from != self.to", "from and to are the same time. For a whole day, use from 00:00 to 24:00."),
            rule("self.from != '24:00'", "a day begins at 00:00. Use from: '00:00'."),
        )
    }


class Receiver(Model):
    """A receiver of alerts: its address, its filters, and the interval of repeated messages."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63, description="A name of your choice.")
    email: Email | None = Field(default=None, description="Send by mail.")
    slack: Slack | None = Field(default=None, description="Send to Slack.")
    pager_duty: PagerDuty | None = Field(default=None, description="Send to PagerDuty.")
    webhook: Webhook | None = Field(default=None, description="Send by an HTTP request to a program of yours.")
    severities: tuple[Severity, ...] = Field(
        default=("warning", "critical"),
        max_length=3,
        description="Send only alerts of these severities. Default: warning and critical.",
        json_schema_extra=_LISTED,
    )
    pools: tuple[Annotated[str, StringConstraints(max_length=40)], ...] = Field(
        default=(),
        max_length=17,
        description="Send only alerts about nodes of these pools. The pool `default` has the nodes that no entry of "
        "spec.pools selects. Default: "
        "alerts about all pools, and alerts that are not about a single node.",
        json_schema_extra=_LISTED,
    )
    repeat_interval: Duration = Field(
        default="4h",
        description="Time after which a message is repeated while its alerts keep firing; 1m or more.",
        json_schema_extra=cel(
            rule(f"!{is_duration('self')} || duration(self) >= duration('{_SHORTEST_REPEAT}s')", "must be 1m or more")
        ),
    )
    quiet_hours: tuple[QuietHours, ...] = Field(
        default=(), max_length=8, description="When to send nothing. Default: send at any time."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                "has(self.email) || has(self.slack) || has(self.pagerDuty) || has(self.webhook)",
                "a receiver needs an address. Set email, slack, pagerDuty or webhook.",
            ),
        )
    }

    deprecated_names = (DeprecatedName("repeat", "repeatInterval"),)

    def validation_errors(self) -> Iterator[str]:
        """Yield the receiver's errors, each with the field and the remedy. The API server checks the same rules."""
        if not (self.email or self.slack or self.pager_duty or self.webhook):
            yield f": receiver {self.name} needs an address. Set email, slack, pagerDuty or webhook."
        if spec_seconds(self.repeat_interval) < _SHORTEST_REPEAT:
            yield f".repeatInterval: {self.repeat_interval} is too short. Use 1m or more."
        if self.email and bool(self.email.username) != bool(self.email.password):
            yield ".email: username and password must be set together. Set both, or neither."
        if self.webhook and bool(self.webhook.url) == bool(self.webhook.url_secret):
            yield ".webhook: needs exactly one of url and urlSecret. Set one and leave out the other."
        for place, quiet in enumerate(self.quiet_hours):
            if quiet.begin == "24:00":
                yield f".quietHours[{place}].from: a day begins at 00:00. Use from: '00:00'."
            elif quiet.begin == quiet.end:
                yield f".quietHours[{place}]: from and to are the same time. For a whole day, use from 00:00 to 24:00."


class Notifications(Model):
    """Receivers of the alerts, through Alertmanager."""

    labels: ChildLabels = Field(
        default={},
        description="Labels of the AlertmanagerConfig, such as the label by which an Alertmanager selects it.",
    )
    receivers: Annotated[
        tuple[Receiver, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = Field(
        default=(),
        max_length=16,
        description="Receivers. Each gets every alert that matches its filters. Default: none, and no "
        "AlertmanagerConfig.",
    )


def contradictions(notifications: Notifications, pools: Collection[str]) -> Iterator[str]:
    """Yield the errors of all receivers, each with the field and the remedy; `pools` are the names in spec.pools.

    The API server checks the same rules. A file that the command line reads does not pass through the API server.
    """
    known = [*pools, DEFAULT_POOL]
    for place, receiver in enumerate(notifications.receivers):
        where = f"spec.notifications.receivers[{place}]"
        yield from (f"{where}{fault}" for fault in receiver.validation_errors())
        for pool in receiver.pools:
            if pool not in known:
                yield f"{where}.pools: pool {pool} does not exist. The target's pools: {', '.join(known)}."
