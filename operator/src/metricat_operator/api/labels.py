"""Labels of series, alerts and objects that a user may add; those that Metricat lives by are not among them."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from metricat_operator import naming
from metricat_operator.api.fields import LABEL_KEY, KubernetesLabels, cel, key_rule, keys, rule

_FREE = r"^([a-zA-Z]|_[a-zA-Z0-9])[a-zA-Z0-9_]*$"
"""Without those that begin with `__`, which are Prometheus' own: it refuses all rules for one labelled `__name__`."""
_KEYS = key_rule(_FREE, "Prometheus label name")

PrometheusLabels = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=1024)]],
    keys(_FREE, "Prometheus label name"),
    Field(max_length=32, json_schema_extra=cel(_KEYS)),
]

SCRAPE_LABELS = ("namespace", "service", "node", "pool", "instance", "job", "pod", "container", "endpoint")
"""Labels that say where a series comes from."""

IDENTITY_LABELS = (
    *("chip", "collector", "cpu", "day", "device", "direction", "fstype", "master", "measure", "mode"),
    *("mountpoint", "name", "pid", "pod_uid", "sensor", "state"),
)
"""Labels by which the rules tell series apart: all with one value would be one series, which is an error."""

OBJECT_LABELS = tuple(naming.labels("", ""))
"""Labels that every object of Metricat's has."""

_OF_SERIES = (*SCRAPE_LABELS, *IDENTITY_LABELS)
_OF_ALERTS = (*_OF_SERIES, "alertname", "severity", "resource")


def _not_of(reserved: tuple[str, ...]) -> AfterValidator:
    def check(mapping: dict[str, str]) -> dict[str, str]:
        if taken := [key for key in mapping if key in reserved]:
            raise ValueError(f"{', '.join(taken)} are set by Metricat; choose another label name")
        return mapping

    return AfterValidator(check)


SeriesLabels = Annotated[
    PrometheusLabels,
    _not_of(_OF_SERIES),
    Field(
        json_schema_extra=cel(
            _KEYS,
            rule(
                f"self.all(key, !(key in {list(_OF_SERIES)!r}))",
                f"{', '.join(_OF_SERIES)} are set by Metricat; choose another label name",
            ),
        )
    ),
]
ChildLabels = Annotated[
    KubernetesLabels,
    _not_of(OBJECT_LABELS),
    Field(
        json_schema_extra=cel(
            key_rule(LABEL_KEY, "Kubernetes label key"),
            rule(
                f"self.all(key, !(key in {list(OBJECT_LABELS)!r}))",
                f"{', '.join(OBJECT_LABELS)} are set by Metricat; choose another label name",
            ),
        )
    ),
]
"""Labels for an object of Metricat's, besides its own."""

AlertLabels = Annotated[
    PrometheusLabels,
    _not_of(_OF_ALERTS),
    Field(
        max_length=8,
        json_schema_extra=cel(
            rule(  # one, and short, for the CRD has it for each alert
                f"self.all(key, key.matches('{_FREE}') && !(key in {list(_OF_ALERTS)!r}))",
                "every key must be a Prometheus label name, and none that Metricat sets, such as severity or device",
            )
        ),
    ),
]
