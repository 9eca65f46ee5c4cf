"""`spec.notifications`: who is told of which alerts, how, and when not.

A receiver says both how it is reached and what it wants, so nothing refers to anything that may be missing. Passwords,
tokens and URLs that hold one are named (`{name, key}` of a Secret in the target's namespace) and never read by us.
"""

from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints

from metricat_operator.alerts.alert import Severity
from metricat_operator.api.fields import DeprecatedName, Duration, Model, cel, rule
from metricat_operator.api.labels import ChildLabels
from metricat_operator.durations import spec_seconds
from metricat_operator.naming import DEFAULT_POOL

Day = Literal["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
DAYS: tuple[Day, ...] = get_args(Day)

_LISTED: dict[str, Any] = {"x-kubernetes-list-type": "set"}
_SHORTEST_REPEAT = 60


class SecretKey(Model):
    """A value in a Secret of the target's namespace; Alertmanager is given it, and Metricat never reads it."""

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253, description="The name of the Secret."
    )
    key: str = Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253, description="The key in the Secret's data.")


class Email(Model):
    """Mail by SMTP, always over TLS: by STARTTLS, or from the start on port 465."""

    to: str = Field(
        min_length=3, max_length=1024, pattern="@", description="Who gets the mail; several addresses by commas."
    )
    sender: str = Field(
        alias="from", min_length=3, max_length=320, pattern="@", description="The address that sends the mail."
    )
    server: str = Field(
        pattern=r"^[^\s:/]+:[0-9]+$|^\[[0-9a-fA-F:]+\]:[0-9]+$",
        max_length=320,
        description="The mail server and its port, such as smtp.example.com:587.",
    )
    username: str = Field(default="", max_length=320, description="Who logs in at the server. Default: nobody.")
    password: SecretKey | None = Field(default=None, description="The password of the user.")
    ca: SecretKey | None = Field(
        default=None, description="Who signed the server's certificate, as PEM. Default: the public authorities."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                "has(self.username) == has(self.password)",
                "username and password go together; set both, or neither for a server that asks for none",
            )
        )
    }


class Slack(Model):
    """A channel in Slack, or in what takes Slack's messages."""

    url: SecretKey = Field(description="The URL of the incoming webhook.")
    channel: str = Field(
        default="", max_length=80, description="The channel, such as #alerts. Default: the webhook's own."
    )


class PagerDuty(Model):
    """A service in PagerDuty, by its Events API v2."""

    routing_key: SecretKey = Field(description="The integration key.")
    url: str = Field(
        default="",
        max_length=1024,
        pattern=r"^(https?://[^\s]+)?$",
        description="The API, such as https://events.eu.pagerduty.com/v2/enqueue. Default: that of Alertmanager.",
    )


class Webhook(Model):
    """A program of your own that takes Alertmanager's JSON by POST."""

    url: str = Field(default="", max_length=1024, pattern=r"^(https?://[^\s]+)?$", description="Where to send it.")
    url_secret: SecretKey | None = Field(default=None, description="The same in a Secret: a URL with a token in it.")
    token: SecretKey | None = Field(default=None, description="A bearer token to send along.")

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule("has(self.url) != has(self.urlSecret)", "a webhook has either url or urlSecret, and not both")
        )
    }


Time = Annotated[str, StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$")]


class QuietHours(Model):
    """Hours in which the receiver is told nothing; what still fires after them is told then."""

    days: tuple[Day, ...] = Field(
        default=DAYS,
        max_length=7,
        description="The days on which they begin. Default: every day.",
        json_schema_extra=_LISTED,
    )
    begin: Time = Field(alias="from", max_length=5, description="When they begin, such as 22:00, in UTC.")
    end: Time = Field(
        alias="to",
        max_length=5,
        description="When they end, such as 06:30, in UTC; if that is earlier, on the next day.",
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule("self.from != self.to", "from and to are the same time; for a whole day write from 00:00 to 24:00"),
            rule("self.from != '24:00'", "a day begins at 00:00; write from: '00:00'"),
        )
    }


class Receiver(Model):
    """Somebody to tell: how, of what, how often."""

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63, description="The receiver's name, of your choice."
    )
    email: Email | None = Field(default=None, description="Tell by mail.")
    slack: Slack | None = Field(default=None, description="Tell by Slack.")
    pager_duty: PagerDuty | None = Field(default=None, description="Tell by PagerDuty.")
    webhook: Webhook | None = Field(default=None, description="Tell by an HTTP request to a program of your own.")
    severities: tuple[Severity, ...] = Field(
        default=("warning", "critical"),
        max_length=3,
        description="Tell of alerts of these severities. Default: warning and critical.",
        json_schema_extra=_LISTED,
    )
    pools: tuple[Annotated[str, StringConstraints(max_length=40)], ...] = Field(
        default=(),
        max_length=17,
        description="Tell of alerts about nodes of these pools only, default among them. Default: of all, and of those "
        "about no single node too.",
        json_schema_extra=_LISTED,
    )
    repeat_interval: Duration = Field(
        default="4h",
        description="How often to repeat a message while its alerts keep firing; 1m or more.",
        json_schema_extra=cel(rule(f"duration(self) >= duration('{_SHORTEST_REPEAT}s')", "must be 1m or more")),
    )
    quiet_hours: tuple[QuietHours, ...] = Field(
        default=(), max_length=8, description="When not to tell. Default: tell at any time."
    )

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule(
                "has(self.email) || has(self.slack) || has(self.pagerDuty) || has(self.webhook)",
                "say how to tell the receiver: set email, slack, pagerDuty or webhook",
            ),
        )
    }

    deprecated_names = (DeprecatedName("repeat", "repeatInterval"),)

    def faults(self) -> Iterator[str]:
        """What the API server refuses too, each with the field and the way out."""
        if not (self.email or self.slack or self.pager_duty or self.webhook):
            yield f": say how to tell {self.name}: set email, slack, pagerDuty or webhook"
        if spec_seconds(self.repeat_interval) < _SHORTEST_REPEAT:
            yield f".repeatInterval: {self.repeat_interval} is too short. Use 1m or more."
        if self.email and bool(self.email.username) != bool(self.email.password):
            yield ".email: username and password go together; set both, or neither"
        if self.webhook and bool(self.webhook.url) == bool(self.webhook.url_secret):
            yield ".webhook: set either url or urlSecret, and not both"
        for place, quiet in enumerate(self.quiet_hours):
            if quiet.begin in {quiet.end, "24:00"}:
                yield f".quietHours[{place}].from: for a whole day write from 00:00 to 24:00"


class Notifications(Model):
    """Who is told of the alerts, through Alertmanager."""

    labels: ChildLabels = Field(
        default={},
        description="Labels of the AlertmanagerConfig, such as the one an Alertmanager selects configurations by.",
    )
    receivers: Annotated[
        tuple[Receiver, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = Field(
        default=(),
        max_length=16,
        description="Who is told; each gets every alert that it wants. Default: nobody, and no AlertmanagerConfig.",
    )


def contradictions(notifications: Notifications, pools: Collection[str]) -> Iterator[str]:
    """What the API server refuses too, and pools that do not exist, each with the field and the way out."""
    names = [receiver.name for receiver in notifications.receivers]
    known = [*pools, DEFAULT_POOL]
    for place, receiver in enumerate(notifications.receivers):
        where = f"spec.notifications.receivers[{place}]"
        yield from (f"{where}{fault}" for fault in receiver.faults())
        if receiver.name in names[:place]:
            yield f"{where}.name: {receiver.name} is an earlier receiver's; choose another name"
        for pool in receiver.pools:
            if pool not in known:
                yield f"{where}.pools: there is no pool {pool}; the target's are {', '.join(known)}"
