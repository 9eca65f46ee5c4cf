"""Manual edits and deletions of children, and the time until the operator repairs each."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from metricat_tools.bench.operator_cluster import NAMESPACE, BenchCluster
from metricat_tools.cluster.api import ClusterApiError
from metricat_tools.errors import ToolError

_AT_ONCE = 5
_PATIENCE = 60.0
_LOOK_EVERY = 0.02

_MONITORING = "/apis/monitoring.coreos.com/v1"
_PLACES = {
    "serviceaccounts": "/api/v1",
    "services": "/api/v1",
    "daemonsets": "/apis/apps/v1",
    "servicemonitors": _MONITORING,
    "prometheusrules": _MONITORING,
}
_EDITS: dict[str, tuple[str, Any]] = {
    "serviceaccounts": ("/automountServiceAccountToken", True),
    "services": ("/spec/ports/0/port", 1),
    "daemonsets": ("/spec/template/spec/containers/0/image", "other"),
    "servicemonitors": ("/spec/endpoints/0/interval", "7m"),
    "prometheusrules": ("/spec/groups/0/name", "other"),
}


@dataclass(frozen=True)
class Edit:
    """One edit or deletion of a child."""

    plural: str
    target: int
    deletes: bool


def repairs(cluster: BenchCluster, count: int) -> list[float]:
    """Return the seconds until each of `count` random edits and deletions is repaired, several targets at a time."""
    chance = random.Random(count)  # the same in each run
    took: list[float] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while len(took) < count:
            targets = chance.sample(range(cluster.targets), min(_AT_ONCE, count - len(took)))
            round_ = [Edit(chance.choice(list(_PLACES)), target, chance.random() < 0.5) for target in targets]
            took += pool.map(lambda edit: _repair(cluster, edit), round_)
    return took


def _repair(cluster: BenchCluster, edit: Edit) -> float:
    path = f"{_PLACES[edit.plural]}/namespaces/{NAMESPACE}/{edit.plural}/metricat-t{edit.target}"
    before = cluster.plane.api.get(path)
    place, wrong = _EDITS[edit.plural]
    began = time.monotonic()
    if edit.deletes:
        cluster.plane.api.call("DELETE", path)
        done = _recreated(before["metadata"]["uid"])
    else:
        right = _at(before, place)
        operation = {"op": "replace", "path": place, "value": wrong}
        cluster.plane.api.call("PATCH", path, [operation], kind="application/json-patch+json")
        done = _restored(place, right)
    while not _seen(cluster, path, done):
        if time.monotonic() - began > _PATIENCE:
            raise ToolError(f"not repaired within {_PATIENCE:.0f} s: {edit}")
        time.sleep(_LOOK_EVERY)
    return time.monotonic() - began


def _seen(cluster: BenchCluster, path: str, done: Callable[[Any], bool]) -> bool:
    try:
        return done(cluster.plane.api.get(path))
    except ClusterApiError as error:
        if error.status != 404:
            raise
        return False


def _recreated(uid: str) -> Callable[[Any], bool]:
    return lambda found: bool(found["metadata"]["uid"] != uid)


def _restored(place: str, right: Any) -> Callable[[Any], bool]:
    return lambda found: bool(_at(found, place) == right)


def _at(found: Any, place: str) -> Any:
    for part in place.strip("/").split("/"):
        found = found[int(part)] if isinstance(found, list) else found.get(part)
    return found
