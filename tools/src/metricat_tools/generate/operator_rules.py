"""Generate the chart's PrometheusRule groups: alerts about the operator and its targets."""

from metricat_rules.groups import GroupManifest, number
from metricat_rules.operator import OPERATOR_ALERTS

_TARGET_LABELS = {"namespace": "{{ $labels.target_namespace }}", "service": "metricat-{{ $labels.target }}"}
"""The labels of the target's own alerts, so that the same receivers get them. A shortened name differs."""


def groups() -> list[GroupManifest]:
    """Return one group with every alert about the operator."""
    return [
        {
            "name": "metricat-operator",
            "rules": [
                {
                    "alert": alert.name,
                    "expr": _render(level.expr or alert.expr, level.threshold),
                    "for": level.duration,
                    "labels": {
                        **(_TARGET_LABELS if "$labels.target" in alert.resource else {}),
                        "severity": level.severity,
                        "resource": alert.resource,
                    },
                    "annotations": {
                        "summary": alert.summary,
                        "description": _render(alert.description, level.threshold),
                        "action": alert.action,
                    },
                }
                for alert in OPERATOR_ALERTS
                for level in alert.levels
            ],
        }
    ]


def _render(text: str, threshold: float | None) -> str:
    return text if threshold is None else text.replace("<threshold>", number(threshold))
