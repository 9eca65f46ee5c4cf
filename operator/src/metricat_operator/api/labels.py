"""Labels that a user may add to series, alerts and objects, and those that Metricat reserves."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from metricat_operator import naming
from metricat_operator.api.fields import LABEL_KEY, KubernetesLabels, cel, key_rule, keys, rule

_FREE = r"^([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]*$"
"""Without names that begin with `__`. Prometheus reserves them, and refuses all rules if one has a label `__name__`."""
_KEYS = key_rule(_FREE, "Prometheus label name")

PrometheusLabels = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=1024)]],
    keys(_FREE, "Prometheus label name"),
    Field(max_length=32, json_schema_extra=cel(_KEYS)),
]

SCRAPE_LABELS = ("namespace", "service", "node", "pool", "instance", "job", "pod", "container", "endpoint")
"""Labels that identify the source of a series."""

IDENTITY_LABELS = (
    *("chip", "collector", "condition", "controller", "cpu", "day", "device", "direction", "fstype", "master"),
    *("measure", "mode", "mountpoint", "name", "pid", "pod_uid", "probe", "sensor", "state", "target", "type"),
    *("uuid", "zpool"),
)
"""Labels that distinguish series in the rules. One value for all series would make them duplicates: an error."""

OBJECT_LABELS = tuple(naming.labels("", ""))
"""Labels of every object that Metricat creates."""

RESERVED_SERIES_LABELS = (*SCRAPE_LABELS, *IDENTITY_LABELS)
_RESERVED_ALERT_LABELS = (*RESERVED_SERIES_LABELS, "alertname", "severity", "resource")


def _not_reserved(reserved: tuple[str, ...]) -> dict[str, str]:
    """Return the CEL rule against reserved keys. Its message names the key."""
    listed = repr(list(reserved))
    return rule(
        f"self.all(key, !(key in {listed}))",
        "Metricat sets this label. Choose another label name.",
        messageExpression=f"'Metricat sets ' + self.filter(key, key in {listed})[0] + '. Choose another label name.'",
    )


def _not_of(reserved: tuple[str, ...]) -> AfterValidator:
    def check(mapping: dict[str, str]) -> dict[str, str]:
        if taken := [key for key in mapping if key in reserved]:
            raise ValueError(f"Metricat sets {', '.join(taken)}. Choose another label name.")
        return mapping

    return AfterValidator(check)


SeriesLabels = Annotated[
    PrometheusLabels,
    _not_of(RESERVED_SERIES_LABELS),
    Field(json_schema_extra=cel(_KEYS, _not_reserved(RESERVED_SERIES_LABELS))),
]
ChildLabels = Annotated[
    KubernetesLabels,
    _not_of(OBJECT_LABELS),
    Field(json_schema_extra=cel(key_rule(LABEL_KEY, "Kubernetes label key"), _not_reserved(OBJECT_LABELS))),
]
"""Labels for an object that Metricat creates, in addition to those of Metricat."""

AlertLabels = Annotated[
    PrometheusLabels,
    _not_of(_RESERVED_ALERT_LABELS),
    Field(
        max_length=8,
        json_schema_extra=cel(  # a short rule, because the CRD repeats it for each alert
            rule(f"self.all(key, key.matches('{_FREE}'))", "a key is not a Prometheus label name.")
        ),
    ),
]


def no_reserved_label(alerts: Iterable[str]) -> dict[str, str]:
    """Return the CEL rule for the settings of these alerts that rejects reserved keys in their labels.

    Its message names the key. The CRD would be too large if each alert had this rule.
    """
    has_label = " || ".join(f"label in self.?{name}.?labels.orValue({{}})" for name in alerts)
    used = f"{list(_RESERVED_ALERT_LABELS)!r}.filter(label, {has_label})"
    return rule(
        f"size({used}) == 0",
        "an alert has a label that Metricat sets. Choose another label name.",
        messageExpression=f"'an alert has the label ' + {used}[0] + "
        "', which Metricat sets. Choose another label name.'",
    )
