"""What a running Prometheus Operator looks after, and where it looks for what it collects: by its flags. Pure.

Its flags and their meaning: prometheus-operator.dev/docs/platform/operator. Where a list of namespaces is left out,
it is all of them, and only then does `--deny-namespaces` count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_EVERYWHERE = "namespaces"
_NOWHERE = "deny-namespaces"
_INSTANCES = {
    "Prometheus": "prometheus-instance-namespaces",
    "PrometheusAgent": "prometheus-instance-namespaces",
    "ThanosRuler": "thanos-ruler-instance-namespaces",
    "Alertmanager": "alertmanager-instance-namespaces",
}
_COLLECTED = {"AlertmanagerConfig": "alertmanager-config-namespaces"}
_CONTROLLER = "controller-id"
_READ = frozenset({_EVERYWHERE, _NOWHERE, _CONTROLLER, *_INSTANCES.values(), *_COLLECTED.values()})


@dataclass(frozen=True)
class PrometheusOperator:
    """A Prometheus Operator, by its pod's namespace and name, and what the flags that are read here are set to."""

    name: str
    flags: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def readable(self) -> bool:
        """Whether the flags are there to be read; one that a Secret or ConfigMap fills in is not."""
        return not any("$(" in value for values in self.flags.values() for value in values)

    def manages(self, kind: str, namespace: str, controller: str = "") -> bool:
        """Whether it configures such an object; `controller` is the object's annotation of the controller's ID."""
        return self.flags.get(_CONTROLLER, frozenset({""})) == {controller} and self._within(
            _INSTANCES[kind], namespace
        )

    def watches(self, what: str, namespace: str) -> bool:
        """Whether it looks for objects of this kind there."""
        return self._within(_COLLECTED.get(what, _EVERYWHERE), namespace)

    def namespace_flags(self) -> str:
        """Its flags that keep it out of namespaces, as they are typed."""
        told = sorted((flag, ",".join(sorted(values))) for flag, values in self.flags.items() if flag != _CONTROLLER)
        return " ".join(f"--{flag}={values}" for flag, values in told)

    def _within(self, flag: str, namespace: str) -> bool:
        allowed = self.flags.get(flag) or self.flags.get(_EVERYWHERE) or frozenset({""})
        if allowed != {""}:
            return namespace in allowed
        return namespace not in self.flags.get(_NOWHERE, ())


def parse(words: Iterable[str]) -> dict[str, frozenset[str]]:
    """The flags that are read here, out of a command line: `--name=a,b` or `--name a,b`; said again, it adds."""
    found: dict[str, frozenset[str]] = {}
    pending = ""
    for word in words:
        name, told, values = word.partition("=") if word.startswith("-") else (pending, "=", word)
        pending = name.lstrip("-")
        if told and pending in _READ:
            found[pending] = found.get(pending, frozenset()) | set(values.split(","))
        if told:
            pending = ""
    return found
