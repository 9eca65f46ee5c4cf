"""Conversion of alert rules, versions, dry runs and backtests to the structs of responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metricat_hub.api.alert_rules.bodies import (
    BacktestResult,
    BacktestRule,
    CompiledRule,
    DryRunResult,
    EpisodeView,
    EvaluatedRule,
    RuleView,
    ShippedAlert,
    TrialAlert,
    VersionList,
    VersionView,
)
from metricat_hub.api.rest.responses import number
from metricat_hub.evaluation.alert_rules import SHIPPED
from metricat_hub.evaluation.machine_actions import ACTIONS
from metricat_hub.evaluation.rules import AlertingRule
from metricat_hub.model.alert_rules import LevelBody
from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.evaluation.backtest import Episode
    from metricat_hub.model.alert_rules import RuleVersion
    from metricat_hub.use_cases.alert_rules import AlertRule, Backtest, DryRun
    from metricat_hub.use_cases.rules import RuleStatus

_MOST_EPISODES = 1_000


def rule_view(rule: AlertRule) -> RuleView:
    """Convert an alert rule to the struct of the response."""
    group, changed = rule.group, rule.changed
    return RuleView(
        id=rule.id,
        source=rule.source,
        name=rule.name,
        file=group.file,
        group=group.name,
        interval_seconds=group.interval / 1000,
        enabled=rule.enabled,
        editable=rule.source != "file",
        version=rule.version,
        changed=rfc3339(changed.at) if changed else None,
        changed_by=changed.actor if changed else "",
        settings=rule.body,
        rules=_evaluated(rule),
        shipped=_shipped(rule),
    )


def _evaluated(rule: AlertRule) -> list[EvaluatedRule]:
    """Return the compiled rules, each with the status of the same rule in the evaluation."""
    left = list(rule.statuses)
    found = []
    for one in _alerting(rule):
        # A changed rule is evaluated a moment later. Until then, its status is that of the rule before.
        status = next((each for each in left if _key(each.rule) == _key(one)), None)
        if status:
            left.remove(status)
        found.append(EvaluatedRule(**_compiled(one), **(_status(status) if status else {})))
    return found


def _key(rule: Any) -> tuple[str, str]:
    return rule.name, rule.labels["severity"].source if "severity" in rule.labels else ""


def _status(status: RuleStatus) -> dict[str, Any]:
    phases = [one.state.phase for one in status.state.alerts.values()]
    firing, pending = phases.count("firing"), phases.count("pending")
    inactive = "inactive" if status.evaluated else "unknown"
    return {
        "state": "firing" if firing else "pending" if pending else inactive,
        "health": "unknown" if not status.evaluated else "err" if status.error else "ok",
        "error": status.error,
        "evaluated": rfc3339(status.evaluated) if status.evaluated else None,
        "evaluation_seconds": status.seconds,
        "firing": firing,
        "pending": pending,
    }


def _compiled(rule: AlertingRule) -> dict[str, Any]:
    labels = {name: template.source for name, template in rule.labels.items()}
    return {
        "name": rule.name,
        "severity": labels.get("severity", ""),
        "expression": rule.expression,
        "for_seconds": rule.timing.hold / 1000,
        "keep_firing_for_seconds": rule.timing.keep_firing / 1000,
        "labels": labels,
        "annotations": {name: template.source for name, template in rule.annotations.items()},
    }


def _alerting(rule: AlertRule) -> list[AlertingRule]:
    return [one for one in rule.group.rules if isinstance(one, AlertingRule)]


def _shipped(rule: AlertRule) -> ShippedAlert | None:
    alert = SHIPPED.get(rule.id)
    if alert is None:
        return None
    levels = {level.severity: LevelBody(level.threshold, level.duration) for level in alert.levels}
    return ShippedAlert(alert.meaning, alert.unit, ACTIONS.get(alert.name, alert.action), levels)


def versions_view(found: Sequence[RuleVersion]) -> VersionList:
    """Convert the versions of a rule to the struct of the response, the newest first."""
    bodies = [None, *(one.body for one in found)]
    return VersionList(
        [
            VersionView(one.number, rfc3339(one.at), one.actor, one.action, one.comment, before, one.body)
            for one, before in zip(found, bodies, strict=False)
        ][::-1]
    )


def dry_run_view(rule: AlertRule, found: DryRun) -> DryRunResult:
    """Convert the result of a dry run to the struct of the response."""
    return DryRunResult(
        rfc3339(found.at),
        [CompiledRule(**_compiled(one)) for one in _alerting(rule)],
        [
            TrialAlert(
                "firing" if one.state.phase == "firing" else "pending",
                dict(one.labels),
                dict(one.annotations),
                number(one.value),
                rfc3339(int(one.state.active)),
            )
            for one in found.alerts
        ],
        list(found.errors),
    )


def backtest_view(found: Backtest) -> BacktestResult:
    """Convert the result of a backtest to the struct of the response."""
    rules = [_backtest_rule(rule, episodes, found.end) for rule, episodes in found.rules]
    return BacktestResult(rfc3339(found.start), rfc3339(found.end), found.step / 1000, rules)


def _backtest_rule(rule: AlertingRule, episodes: Sequence[Episode], end: int) -> BacktestRule:
    fired = [one for one in episodes if one.fired is not None]
    seconds = sum(((end if one.ended is None else one.ended) - (one.fired or 0)) / 1000 for one in fired)
    return BacktestRule(
        CompiledRule(**_compiled(rule)),
        len(fired),
        seconds,
        len(episodes) - len(fired),
        [
            EpisodeView(
                dict(one.labels),
                rfc3339(one.active),
                None if one.fired is None else rfc3339(one.fired),
                None if one.ended is None else rfc3339(one.ended),
                number(one.value),
            )
            for one in episodes[:_MOST_EPISODES]
        ],
        len(episodes) > _MOST_EPISODES,
    )
