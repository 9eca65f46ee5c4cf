"""The structs of requests and responses about alert rules. Times are RFC 3339 in UTC."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from metricat_hub.model.alert_rules import (
    Action,
    Duration,
    Level,
    LevelBody,
    RuleBody,
    Source,
)

Time = Annotated[str, Meta(description="Time in UTC, RFC 3339.", examples=["2026-01-31T12:00:00.000Z"])]
Comment = Annotated[str, Meta(description="Reason of the change. The versions of the rule show it.", max_length=1_000)]
Labels = dict[str, str]


class RuleChange(RuleBody, kw_only=True):
    """A rule to store, with a comment."""

    comment: Comment = ""


class Restore(msgspec.Struct, forbid_unknown_fields=True):
    """A request to make an earlier version of a rule the current one."""

    version: Annotated[
        int, Meta(ge=0, le=2**31, description="Number of the version; 0: the state before the first change.")
    ]
    comment: Comment = ""


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    """A request to undo the last change of a rule."""

    comment: Comment = ""


class Trial(msgspec.Struct, forbid_unknown_fields=True):
    """A dry run. If `rule` is null, the hub evaluates the stored rule."""

    rule: RuleBody | None = None


class BacktestTrial(msgspec.Struct, forbid_unknown_fields=True):
    """A backtest. If `rule` is null, the hub evaluates the stored rule."""

    rule: RuleBody | None = None
    start: Annotated[Time | None, Meta(description="Default: a day before the end.")] = None
    end: Annotated[Time | None, Meta(description="Default: now.")] = None
    step: Annotated[Duration, Meta(description="Time between two evaluations. Default: the interval of the rule.")] = ""


class CompiledRule(msgspec.Struct):
    """An alerting rule as it is evaluated."""

    name: str
    severity: str
    expression: str
    for_seconds: float
    keep_firing_for_seconds: float
    labels: Labels
    annotations: Labels


class EvaluatedRule(CompiledRule):
    """An alerting rule with its last evaluation."""

    state: Literal["firing", "pending", "inactive", "unknown"] = "unknown"
    health: Literal["ok", "err", "unknown"] = "unknown"
    error: str = ""
    evaluated: Time | None = None
    evaluation_seconds: float = 0.0
    firing: Annotated[int, Meta(description="Number of alerts that fire.")] = 0
    pending: Annotated[int, Meta(description="Number of alerts that are pending.")] = 0


class ShippedAlert(msgspec.Struct):
    """The meaning of a shipped alert, and its default settings."""

    meaning: str
    unit: str
    action: str
    defaults: dict[Level, LevelBody]


class RuleView(msgspec.Struct):
    """An alert rule."""

    id: str
    source: Source
    name: str
    file: Annotated[
        str, Meta(description="Path of the file with the rule; `shipped` or `api` for a rule without a file.")
    ]
    group: str
    interval_seconds: float
    enabled: bool
    editable: Annotated[bool, Meta(description="Whether the API can change the rule; false: a file contains it.")]
    version: Annotated[
        int, Meta(description="Version of the rule, as in ETag and If-Match; 0: never changed through the API.")
    ]
    changed: Time | None
    changed_by: str
    settings: Annotated[
        RuleBody | None, Meta(description="The stored settings; null: the defaults, or the rule is in a file.")
    ]
    rules: list[EvaluatedRule]
    shipped: ShippedAlert | None = None


class RuleList(msgspec.Struct):
    """All alert rules."""

    data: list[RuleView]


class VersionView(msgspec.Struct):
    """One change of a rule, with the rule before and after it."""

    version: int
    at: Time
    actor: str
    action: Action
    comment: str
    before: Annotated[
        RuleBody | None, Meta(description="The rule before; null: it did not exist, or had its defaults.")
    ]
    after: Annotated[RuleBody | None, Meta(description="The rule after; null: it was deleted, or got its defaults.")]


class VersionList(msgspec.Struct):
    """The versions of a rule, the newest first."""

    data: list[VersionView]


class TrialAlert(msgspec.Struct):
    """An alert that the rule would have now."""

    state: Literal["firing", "pending"]
    labels: Labels
    annotations: Labels
    value: float | None
    active_since: Time


class DryRunResult(msgspec.Struct):
    """The result of a dry run: the alerts that the rule would have now."""

    time: Time
    rules: list[CompiledRule]
    alerts: list[TrialAlert]
    errors: list[str]


class EpisodeView(msgspec.Struct):
    """One period in which an alert would have been active."""

    labels: Labels
    active: Time
    fired: Annotated[Time | None, Meta(description="When the alert would have fired; null: it was only pending.")]
    ended: Annotated[
        Time | None, Meta(description="When the alert would have ended; null: it was active at the end of the range.")
    ]
    value: Annotated[float | None, Meta(description="The last value of the expression in the period.")]


class BacktestRule(msgspec.Struct):
    """The backtest of one compiled rule."""

    rule: CompiledRule
    fired: Annotated[int, Meta(description="How often an alert would have fired.")]
    firing_seconds: Annotated[float, Meta(description="For how many seconds alerts would have fired in total.")]
    pending_only: Annotated[int, Meta(description="How often an alert would have been pending without firing.")]
    episodes: Annotated[list[EpisodeView], Meta(description="At most 1000 periods, the earliest first.")]
    truncated: bool


class BacktestResult(msgspec.Struct):
    """The result of a backtest: when the rule would have been active."""

    start: Time
    end: Time
    step_seconds: float
    rules: list[BacktestRule]
