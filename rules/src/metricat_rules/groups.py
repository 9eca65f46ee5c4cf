"""Rule groups of one target, made from the catalogue and the target's settings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from metricat_rules import anomaly
from metricat_rules.catalogue import CATALOGUE, RECORDINGS, Alert, Level
from metricat_rules.durations import spec_seconds
from metricat_rules.recording import Recording
from metricat_rules.settings import LevelSettings, SettingsByAlert

_LONGEST_KEPT = "1h"

GroupManifest = dict[str, Any]
RuleManifest = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """The series of one target, scraped through its Service, and the labels of its rules."""

    namespace: str
    target: str
    service: str
    window_seconds: int
    extra_labels: Mapping[str, str] = field(default_factory=dict)
    pools: tuple[str, ...] = ()

    @property
    def selector(self) -> str:
        """Return label matchers for PromQL; no pools means all pools. Names are DNS labels and need no escaping."""
        return f'namespace="{self.namespace}",service="{self.service}"{self._pools}'

    @property
    def coverage(self) -> str:
        """Return label matchers for the operator's series about the target."""
        return f'target_namespace="{self.namespace}",target="{self.target}"{self._pools}'

    @property
    def _pools(self) -> str:
        return f',pool{"=~" if len(self.pools) > 1 else "="}"{"|".join(self.pools)}"' if self.pools else ""

    def render(self, text: str, threshold: str = "") -> str:
        """Return the text with its placeholders replaced."""
        for placeholder, value in (
            ("<selector>", self.selector),
            ("<coverage>", self.coverage),
            ("<namespace>", self.namespace),
            ("<service>", self.service),
            ("<window>", f"{self.window_seconds}s"),
            ("<threshold>", threshold),
        ):
            text = text.replace(placeholder, value)
        return text

    @property
    def alert_labels(self) -> dict[str, str]:
        """Return the target's extra labels, escaped for an alert."""
        return _literal(self.extra_labels)


def _literal(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels with escaped braces: an alert's labels are templates, those of a recorded series are not."""
    return {name: value.replace("{{", '{{ "{{" }}') for name, value in sorted(labels.items())}


def recording_group(name: str, scope: Scope) -> GroupManifest:
    """Return the group of recording rules over the scope's series."""
    return {"name": name, "rules": _recorded(RECORDINGS, scope)}


def baseline_group(name: str, scope: Scope) -> GroupManifest:
    """Return the group of recording rules of the usual values for the hour."""
    return {"name": name, "interval": anomaly.INTERVAL, "rules": _recorded(anomaly.BASELINE, scope)}


def _recorded(recordings: Iterable[Recording], scope: Scope) -> list[RuleManifest]:
    return [
        {
            "record": recording.name,
            "expr": scope.render(recording.expr),
            **({"labels": dict(sorted(scope.extra_labels.items()))} if scope.extra_labels else {}),
        }
        for recording in recordings
    ]


def alert_group(
    name: str, scope: Scope, settings: SettingsByAlert, runbook_base_url: str, catalogue: Iterable[Alert] = CATALOGUE
) -> GroupManifest:
    """Return the group of the alerts in the catalogue, at the levels that `settings` has and enables."""
    rules = []
    for alert in (alert for alert in catalogue if alert.name in settings):
        own = settings[alert.name]
        for level in alert.levels:
            level_settings = own.levels.get(level.severity)
            if level_settings is not None and level_settings.enabled:
                rule = _rule(alert, level, scope, level_settings, own.labels)
                if runbook_base_url:
                    rule["annotations"]["runbook_url"] = _runbook(runbook_base_url, alert.name)
                rules.append(rule)
    return {"name": name, "rules": rules}


def _rule(alert: Alert, level: Level, scope: Scope, settings: LevelSettings, labels: Mapping[str, str]) -> RuleManifest:
    threshold = "" if settings.threshold is None else number(settings.threshold)
    description = scope.render(level.description or alert.description, threshold)
    return {
        "alert": alert.name,
        "expr": scope.render(level.expr or alert.expr, threshold),
        "for": settings.duration,
        **({"keep_firing_for": kept(settings.duration)} if alert.keep_firing else {}),
        "labels": {
            **scope.alert_labels,
            **_literal(labels),
            # Alertmanager routes by both, and some expressions drop them.
            "namespace": scope.namespace,
            "service": scope.service,
            "resource": alert.resource,
            "severity": level.severity,
        },
        "annotations": {
            "summary": level.summary or alert.summary,
            "description": description,
            "action": alert.action,
        },
    }


def kept(duration: str) -> str:
    """Return the `keep_firing_for` of an alert with this `for`: the same duration, at most an hour."""
    return min(duration, _LONGEST_KEPT, key=spec_seconds)


def _runbook(base_url: str, alert: str) -> str:
    return base_url.replace("{alert}", alert) if "{alert}" in base_url else f"{base_url.rstrip('/')}/{alert}"


def sharded(group: GroupManifest, most: int = 20) -> list[GroupManifest]:
    """Split the group into groups of at most `most` rules: Prometheus evaluates the rules of a group sequentially."""
    rules = group["rules"]
    parts = [rules[start : start + most] for start in range(0, len(rules), most)]
    if len(parts) < 2:
        return [group] if parts else []
    return [{**group, "name": f"{group['name']}-{index + 1}", "rules": part} for index, part in enumerate(parts)]


def number(value: float) -> str:
    """Return a number as PromQL and people write it: 80, not 80.0."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
