"""`spec.alerts`: settings of the shipped alerts, a field for each alert of the catalogue, and the user's own rules."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field, StrictBool, StrictFloat, StringConstraints, create_model

from metricat_operator.api import thresholds
from metricat_operator.api.fields import (
    Duration,
    Interval,
    Model,
    cel,
    checked,
    rule,
)
from metricat_operator.api.labels import AlertLabels, ChildLabels, PrometheusLabels, no_reserved_label
from metricat_rules.catalogue import CATALOGUE, Alert
from metricat_rules.settings import AlertSettings, LevelSettings


class AlertLevel(Protocol):
    """One level of an alert, in a target or in a pool. A level without a threshold lacks the field `threshold`."""

    enabled: bool | None
    duration: str | None

    @property
    def model_fields_set(self) -> set[str]:
        """The fields that the spec sets."""


class RuleSettings(Model):
    """Base of the models that are generated from the catalogue and have a field for each alert."""

    def by_alert(self, *, written_only: bool = False) -> dict[str, AlertSettings]:
        """Return the settings by name of the alert; `written_only` leaves out thresholds that are defaults."""
        return {
            alert.name: AlertSettings(
                {
                    level.severity: _level_settings(getattr(own, level.severity), written_only=written_only)
                    for level in alert.levels
                },
                own.labels or {},
            )
            for alert in CATALOGUE
            if (own := getattr(self, alert.name, None))
        }


def _level_settings(level: AlertLevel, *, written_only: bool) -> LevelSettings:
    threshold: float | None = getattr(level, "threshold", None)
    is_wanted = not written_only or "threshold" in level.model_fields_set
    return LevelSettings(level.enabled is not False, level.duration or "0s", threshold if is_wanted else None)


def _level_model(alert: Alert, level_index: int) -> type[Model]:
    level = alert.levels[level_index]
    fields: dict[str, Any] = {
        "enabled": (StrictBool, Field(default=True, description="Whether this level can fire.")),
        "duration": (
            Duration,
            Field(
                default=level.duration,
                alias="for",
                description="How long the expression must be true.",
            ),
        ),
    }
    if level.threshold is not None:
        unit = f", in {alert.unit}" if alert.unit else ""
        text = f"The value at which the level fires{unit}."
        least, most = (0, 100) if alert.unit.startswith("%") else (None, None)
        fields["threshold"] = (StrictFloat, Field(default=float(level.threshold), description=text, ge=least, le=most))
    return create_model(
        f"{alert.name}{level.severity.title()}", __base__=Model, __doc__=f"The {level.severity} level.", **fields
    )


_LABELS = "Labels to add to this alert, for example for routing."


def _alert_model(alert: Alert) -> type[Model]:
    fields: dict[str, Any] = {}
    for index, level in enumerate(alert.levels):
        model = _level_model(alert, index)
        fields[level.severity] = (model, Field(default=model(), description=f"The {level.severity} level."))
    fields["labels"] = (AlertLabels, Field(default={}, description=_LABELS))
    return create_model(alert.name, __base__=checked(*thresholds.rules(alert)), __doc__=alert.meaning, **fields)


def _rules_model(name: str, alerts: Iterable[Alert], description: str = "{alert.meaning}") -> type[Model]:
    fields: dict[str, Any] = {}
    for alert in alerts:
        model = _alert_model(alert)
        text = description.format(alert=alert)
        fields[alert.name] = (model, Field(default=model(), alias=alert.name, description=text))
    base = (checked(no_reserved_label(fields)), RuleSettings)
    return create_model(name, __base__=base, __doc__="The shipped alerts, by name.", **fields)


if TYPE_CHECKING:

    class AlertRules(RuleSettings):
        """The shipped alerts: a field for each alert, with a field for each of its levels."""

    class NodeRules(RuleSettings):
        """The shipped alerts about nodes, which a pool may set: a field for each alert, with a field for each level."""

else:
    AlertRules = _rules_model("AlertRules", CATALOGUE)
    NodeRules = _rules_model(  # short texts: kubectl apply cannot store an object of more than 256 KiB
        "NodeRules",
        (alert for alert in CATALOGUE if alert.per_node),
        "As spec.alerts.rules.{alert.name}, for this pool.",
    )

PromQL = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]


ONE_OF_BOTH = "a rule needs exactly one of alert and record. Set one and leave out the other."
ALERTS_ONLY = "a recording rule takes no for, keep_firing_for or annotations. Remove them."


class UserRule(Model):
    """A rule as in a PrometheusRule: either `alert` or `record`."""

    alert: str | None = Field(default=None, min_length=1, max_length=256, description="The alert's name.")
    record: str | None = Field(
        default=None, pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=256, description="The recorded series' name."
    )
    expr: PromQL = Field(description="The PromQL expression.")
    duration: Duration | None = Field(
        default=None, alias="for", description="How long the expression must be true before the alert fires."
    )
    keep_firing_for: Duration | None = Field(
        default=None,
        alias="keep_firing_for",
        description="How long the alert keeps firing after the expression was last true.",
    )
    labels: PrometheusLabels = Field(default={}, description="Labels to add.")
    annotations: PrometheusLabels = Field(default={}, description="Annotations to add.")

    model_config = Model.model_config | {
        "json_schema_extra": cel(
            rule("has(self.alert) != has(self.record)", ONE_OF_BOTH),
            rule(
                "!has(self.record) || !(has(self.__for__) || has(self.keep_firing_for) || has(self.annotations))",
                ALERTS_ONLY,
            ),
        )
    }


class UserGroup(Model):
    """A group of the user's own rules."""

    name: str = Field(min_length=1, max_length=253, description="The group's name, unique in the list.")
    interval: Interval | None = Field(
        default=None, description="Time between two evaluations. Default: Prometheus' evaluation interval."
    )
    rules: tuple[UserRule, ...] = Field(default=(), max_length=200, description="The rules, evaluated in order.")


class Alerts(Model):
    """The alert rules and recording rules."""

    enabled: StrictBool = Field(default=True, description="Whether to create Metricat's rules.")
    labels: ChildLabels | None = Field(
        default=None,
        description="Labels of the PrometheusRules, by which a Prometheus selects them. Default: as in spec.monitor.",
    )
    runbook_base_url: str = Field(
        default="",
        alias="runbookBaseURL",
        max_length=1024,
        pattern=r"^(https?://[^{}\s]*(\{alert\}[^{}\s]*)?)?$",
        description="URL of the runbooks, for the annotation runbook_url. The alert's name replaces {alert} or is "
        "appended. Example: https://git.example.com/ops/metricat/blob/main/docs/runbooks/{alert}.md. Default: no "
        "runbook_url.",
    )
    rules: AlertRules = Field(default=AlertRules(), description="Settings of the shipped alerts, by name.")
    extra_groups: Annotated[
        tuple[UserGroup, ...],
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
    ] = Field(
        default=(),
        max_length=50,
        description="Your own rules, in a separate PrometheusRule: an invalid rule does not affect the shipped rules.",
    )
