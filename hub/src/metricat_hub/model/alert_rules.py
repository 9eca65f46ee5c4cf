"""Alert rules as users define them through the API, and their versions."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from metricat_hub.model.errors import HubError

Operator: TypeAlias = Literal[">", "<", ">=", "<=", "==", "!="]
Level: TypeAlias = Literal["info", "warning", "critical"]
Source: TypeAlias = Literal["shipped", "file", "api"]
Action: TypeAlias = Literal["create", "update", "delete", "restore"]

Duration = Annotated[
    str, Meta(description="A duration in Prometheus' notation.", examples=["5m", "1h30m"], max_length=50)
]
Texts = Annotated[dict[str, Annotated[str, Meta(max_length=10_000)]], Meta(max_length=50)]
LARGEST_EXPRESSION = 16_384


class RuleNotFoundError(HubError):
    """No rule has the identifier, or the rule has no such version."""


class RuleConflictError(HubError):
    """The rule cannot be changed through the API, for example because it is in a file."""


class StaleRuleError(HubError):
    """Another client changed the rule since this client read it."""


class LevelBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename={"for_": "for"}):
    """Settings of one severity of a shipped alert. Missing settings keep their defaults."""

    threshold: Annotated[float | None, Meta(description="Threshold of the alert; null: the default.")] = None
    for_: Annotated[Duration | None, Meta(description="Time before the alert fires; null: the default.")] = None
    enabled: bool = True


class RuleBody(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, rename={"for_": "for"}):
    """A rule: an expression, a threshold of a measure, or settings of a shipped alert."""

    name: Annotated[str, Meta(description="The name of the alert, for example DiskAlmostFull.", max_length=200)] = ""
    expression: Annotated[
        str, Meta(description="PromQL. The alert fires for each series of its result.", max_length=LARGEST_EXPRESSION)
    ] = ""
    measure: Annotated[
        str, Meta(description="A measure such as cpu_usage_percent, instead of an expression.", max_length=100)
    ] = ""
    operator: Annotated[Operator, Meta(description="Compares the measure with the threshold.")] = ">"
    threshold: float | None = None
    for_: Annotated[
        Duration, Meta(description="How long the expression must have a result before the alert fires.")
    ] = ""
    duration: Annotated[Duration, Meta(description="Same as `for`.")] = ""
    for_duration_minutes: Annotated[float | None, Meta(description="Same as `for`, in minutes.")] = None
    keep_firing_for: Annotated[
        Duration, Meta(description="How long the alert keeps firing after the expression no longer has a result.")
    ] = ""
    cooldown_minutes: Annotated[
        float | None,
        Meta(description="Least time in minutes between two notifications if the alert resolves and fires again."),
    ] = None
    severity: Annotated[str, Meta(description="Severity of the alert. Default: warning.", max_length=100)] = ""
    labels: Texts = msgspec.field(default_factory=dict)
    annotations: Texts = msgspec.field(default_factory=dict)
    match: Annotated[Texts, Meta(description="Label values that select series of the measure.")] = msgspec.field(
        default_factory=dict
    )
    interval: Annotated[
        Duration, Meta(description="Time between two evaluations. Default: the setting rules.interval.")
    ] = ""
    enabled: bool = True
    levels: Annotated[dict[Level, LevelBody], Meta(description="Settings of a shipped alert by severity.")] = (
        msgspec.field(default_factory=dict)
    )
    pools: Annotated[
        dict[Annotated[str, Meta(max_length=100)], dict[Level, LevelBody]],
        Meta(
            description="Settings of a shipped alert for the nodes of single pools, by name of the pool and severity.",
            max_length=16,
        ),
    ] = msgspec.field(default_factory=dict)


class RuleVersion(msgspec.Struct, frozen=True):
    """One version of a rule."""

    rule: str
    number: int
    at: int
    """Milliseconds since 1970-01-01 UTC."""
    actor: str
    """The name of the user, or the ID of the API key, that made the change."""
    action: Action
    comment: str
    """The comment of the user about the change."""
    body: RuleBody | None
    """The rule after the change; None: it was deleted, or a shipped alert got its defaults."""
