"""Edits and deletions of children by hand, and how long each takes to be repaired."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from metricat_tools.bench.operator_stage import NAMESPACE, Stage
from metricat_tools.cluster.api import ApiError
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
class Drift:
    """What is done to one child."""

    plural: str
    target: int
    deletes: bool


def repairs(on: Stage, count: int) -> list[float]:
    """The seconds until each of so many random edits and deletions is undone, several targets at a time."""
    chance = random.Random(count)  # the same in each run
    took: list[float] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while len(took) < count:
            targets = chance.sample(range(on.targets), min(_AT_ONCE, count - len(took)))
            round_ = [Drift(chance.choice(list(_PLACES)), target, chance.random() < 0.5) for target in targets]
            took += pool.map(lambda drift: _repair(on, drift), round_)
    return took


def _repair(on: Stage, drift: Drift) -> float:
    path = f"{_PLACES[drift.plural]}/namespaces/{NAMESPACE}/{drift.plural}/metricat-t{drift.target}"
    before = on.plane.api.get(path)
    place, wrong = _EDITS[drift.plural]
    began = time.monotonic()
    if drift.deletes:
        on.plane.api.call("DELETE", path)
        done = _made_anew(before["metadata"]["uid"])
    else:
        right = _at(before, place)
        operation = {"op": "replace", "path": place, "value": wrong}
        on.plane.api.call("PATCH", path, [operation], kind="application/json-patch+json")
        done = _as_it_was(place, right)
    while not _seen(on, path, done):
        if time.monotonic() - began > _PATIENCE:
            raise ToolError(f"not repaired within {_PATIENCE:.0f} s: {drift}")
        time.sleep(_LOOK_EVERY)
    return time.monotonic() - began


def _seen(on: Stage, path: str, done: Callable[[Any], bool]) -> bool:
    try:
        return done(on.plane.api.get(path))
    except ApiError as error:
        if error.status != 404:
            raise
        return False


def _made_anew(uid: str) -> Callable[[Any], bool]:
    return lambda found: bool(found["metadata"]["uid"] != uid)


def _as_it_was(place: str, right: Any) -> Callable[[Any], bool]:
    return lambda found: bool(_at(found, place) == right)


def _at(found: Any, place: str) -> Any:
    for part in place.strip("/").split("/"):
        found = found[int(part)] if isinstance(found, list) else found.get(part)
    return found
