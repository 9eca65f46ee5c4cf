"""Random changes of MonitoringTargets and of their child objects. The same seed gives the same changes."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from metricat_operator import naming
from metricat_tools.cluster.api import ClusterApiError
from support.harness import api_path, target

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from support.harness import Cluster, Manifest

_POOL = {"name": "gpu", "nodeSelector": {"matchLabels": {"chaos-pool": "gpu"}}}
_EDITS: tuple[tuple[str, list[dict[str, Any]]], ...] = (
    ("daemonset", [{"op": "add", "path": "/spec/template/spec/hostPID", "value": True}]),
    ("daemonset", [{"op": "remove", "path": "/metadata/labels/metricat.dev~1target"}]),
    ("service", [{"op": "replace", "path": "/spec/ports/0/port", "value": 1}]),
    ("servicemonitor", [{"op": "replace", "path": "/spec/endpoints/0/interval", "value": "7m"}]),
    ("serviceaccount", [{"op": "replace", "path": "/automountServiceAccountToken", "value": True}]),
)
_CHILDREN = ("serviceaccount", "daemonset", "service", "servicemonitor", "prometheusrule")


@dataclass
class Churn:
    """Targets of one namespace. They select no node, so that only the operator works."""

    cluster: Cluster
    namespace: str
    random: random.Random
    specs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The spec of each target that exists."""
    changes: int = 0

    def create(self, count: int) -> None:
        for number in range(count):
            self._write(f"t{number}", empty(f"t{number}"))

    def change(self) -> str:
        """Make one random change, and return its description."""
        name = self.random.choice(sorted(self.specs))
        action = self.random.choices(
            (self._interval, self._pool, self._alerts, self._delete_child, self._edit_child, self._replace),
            (4, 2, 2, 4, 4, 1),
        )[0]
        self.changes += 1
        return f"{name}: {action(name)}"

    def _write(self, name: str, spec: dict[str, Any]) -> None:
        self.specs[name] = spec
        self.cluster.apply(named(self.namespace, name, spec))

    def _changed(self, name: str, change: Callable[[dict[str, Any]], None]) -> None:
        spec = copy.deepcopy(self.specs[name])
        change(spec)
        self._write(name, spec)

    def _interval(self, name: str) -> str:
        interval = f"{self.random.randint(20, 300)}s"
        self._changed(name, lambda spec: spec.update(monitor={"interval": interval}))
        return f"interval {interval}"

    def _pool(self, name: str) -> str:
        self._changed(name, lambda spec: spec.update(pools=[] if spec.get("pools") else [_POOL]))
        return "pool added or removed"

    def _alerts(self, name: str) -> str:
        enabled = self.specs[name].get("alerts", {}).get("enabled", True)
        self._changed(name, lambda spec: spec.update(alerts={"enabled": not enabled}))
        return "alerts enabled or disabled"

    def _delete_child(self, name: str) -> str:
        kind = self.random.choice(_CHILDREN)
        self._try("DELETE", kind, name)
        return f"{kind} deleted"

    def _edit_child(self, name: str) -> str:
        kind, operations = self.random.choice(_EDITS)
        self._try("PATCH", kind, name, operations)
        return f"{kind} edited"

    def _replace(self, name: str) -> str:
        """Delete the target, and create another one of its name at once."""
        self.cluster.delete("mtarget", name, self.namespace)
        self._write(name, empty(name))
        return "target deleted and created again"

    def _try(self, method: str, kind: str, name: str, body: object = None) -> None:
        path = api_path(kind, naming.child(name), self.namespace)
        try:
            self.cluster.api.call(method, path, body, "application/json-patch+json")
        except ClusterApiError as error:
            if error.status not in {404, 422}:  # it does not exist now, or has no such field
                raise


def empty(name: str) -> dict[str, Any]:
    """Return the spec of a target that selects no node and no other target's nodes."""
    return {"nodeSelector": {"matchLabels": {"chaos": name}}, "allowEmpty": True}


def named(namespace: str, name: str, spec: dict[str, Any]) -> Manifest:
    made = target(namespace, spec)
    made["metadata"]["name"] = name
    return made
