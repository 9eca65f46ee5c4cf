"""The instances that a running Prometheus Operator manages and the namespaces that it watches, by its flags. Pure.

The flags: prometheus-operator.dev/docs/platform/operator. A missing list of namespaces means all namespaces.
`--deny-namespaces` applies only then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_NAMESPACES = "namespaces"
_DENY_NAMESPACES = "deny-namespaces"
_INSTANCE_NAMESPACES = {
    "Prometheus": "prometheus-instance-namespaces",
    "PrometheusAgent": "prometheus-instance-namespaces",
    "ThanosRuler": "thanos-ruler-instance-namespaces",
    "Alertmanager": "alertmanager-instance-namespaces",
}
_OBJECT_NAMESPACES = {"AlertmanagerConfig": "alertmanager-config-namespaces"}
_CONTROLLER_ID = "controller-id"
_RELEVANT = frozenset(
    {_NAMESPACES, _DENY_NAMESPACES, _CONTROLLER_ID, *_INSTANCE_NAMESPACES.values(), *_OBJECT_NAMESPACES.values()}
)


@dataclass(frozen=True)
class PrometheusOperator:
    """A Prometheus Operator: the namespace and name of its pod, and the values of the relevant flags."""

    name: str
    flags: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        """Whether all values are literal; the value of a reference `$(NAME)` to a Secret or ConfigMap is unknown."""
        return not any("$(" in value for values in self.flags.values() for value in values)

    def manages(self, kind: str, namespace: str, controller: str = "") -> bool:
        """Return whether the operator manages an instance of this kind; `controller` is the ID in its annotation."""
        return self.flags.get(_CONTROLLER_ID, frozenset({""})) == {controller} and self._within(
            _INSTANCE_NAMESPACES[kind], namespace
        )

    def watches(self, kind: str, namespace: str) -> bool:
        """Return whether the operator watches objects of this kind in the namespace."""
        return self._within(_OBJECT_NAMESPACES.get(kind, _NAMESPACES), namespace)

    def namespace_flags(self) -> str:
        """Return the operator's flags that limit namespaces, as on a command line."""
        limits = sorted(
            (flag, ",".join(sorted(values))) for flag, values in self.flags.items() if flag != _CONTROLLER_ID
        )
        return " ".join(f"--{flag}={values}" for flag, values in limits)

    def _within(self, flag: str, namespace: str) -> bool:
        allowed = self.flags.get(flag) or self.flags.get(_NAMESPACES) or frozenset({""})
        if allowed != {""}:
            return namespace in allowed
        return namespace not in self.flags.get(_DENY_NAMESPACES, ())


def parse(words: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the relevant flags of a command line: `--name=a,b` or `--name a,b`; a repeated flag adds values."""
    found: dict[str, frozenset[str]] = {}
    pending = ""
    for word in words:
        name, separator, values = word.partition("=") if word.startswith("-") else (pending, "=", word)
        pending = name.lstrip("-")
        if separator and pending in _RELEVANT:
            found[pending] = found.get(pending, frozenset()) | set(values.split(","))
        if separator:
            pending = ""
    return found
