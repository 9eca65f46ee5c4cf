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
Comment = Annotated[str, Meta(description="Why, for the history of the rule.", max_length=1_000)]
Labels = dict[str, str]


class RuleChange(RuleBody, kw_only=True):
    """A rule to store."""

    comment: Comment = ""


class Restore(msgspec.Struct, forbid_unknown_fields=True):
    """The version to return to."""

    version: Annotated[int, Meta(ge=0, le=2**31, description="0: as before the first change.")]
    comment: Comment = ""


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    """Why the last change is undone."""

    comment: Comment = ""


class Trial(msgspec.Struct, forbid_unknown_fields=True):
    """A rule to try; without one, the stored rule."""

    rule: RuleBody | None = None


class BacktestTrial(msgspec.Struct, forbid_unknown_fields=True):
    """A rule to try over the history; without one, the stored rule."""

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
    firing: Annotated[int, Meta(description="Alerts that fire.")] = 0
    pending: Annotated[int, Meta(description="Alerts that are pending.")] = 0


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
    file: Annotated[str, Meta(description="The file of the rule, `shipped`, or `api`.")]
    group: str
    interval_seconds: float
    enabled: bool
    editable: Annotated[bool, Meta(description="False: the rule is in a file.")]
    version: Annotated[int, Meta(description="0: never changed through the API. ETag and If-Match have it.")]
    changed: Time | None
    changed_by: str
    settings: Annotated[RuleBody | None, Meta(description="As written; null: the defaults, or those of the file.")]
    rules: list[EvaluatedRule]
    shipped: ShippedAlert | None = None


class RuleList(msgspec.Struct):
    """All alert rules."""

    data: list[RuleView]


class VersionView(msgspec.Struct):
    """A version of a rule."""

    version: int
    at: Time
    actor: str
    action: Action
    comment: str
    before: Annotated[RuleBody | None, Meta(description="Null: the rule did not exist, or had its defaults.")]
    after: Annotated[RuleBody | None, Meta(description="Null: the rule was deleted, or got its defaults.")]


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
    """One time that an alert would have been active."""

    labels: Labels
    active: Time
    fired: Annotated[Time | None, Meta(description="Null: pending only.")]
    ended: Annotated[Time | None, Meta(description="Null: active at the end of the range.")]
    value: Annotated[float | None, Meta(description="The last value.")]


class BacktestRule(msgspec.Struct):
    """The result of one rule."""

    rule: CompiledRule
    fired: Annotated[int, Meta(description="How often an alert would have fired.")]
    firing_seconds: Annotated[float, Meta(description="For how long in total.")]
    pending_only: Annotated[int, Meta(description="How often an alert would have been pending without firing.")]
    episodes: Annotated[list[EpisodeView], Meta(description="The earliest first, at most 1000.")]
    truncated: bool


class BacktestResult(msgspec.Struct):
    """When the rule would have been active."""

    start: Time
    end: Time
    step_seconds: float
    rules: list[BacktestRule]
