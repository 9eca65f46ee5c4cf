"""Drift: the difference between a live child object and the desired one. Pure. See docs/design/0002.

Server-side apply repairs drift, but an apply without changes is still a write request. So this module finds drift from
the live object and its `managedFields` (kubernetes.io/docs/reference/using-api/server-side-apply):

- *ours*: a desired field is missing, different or not owned by Metricat, or Metricat owns a field that is no longer
  desired. Repair: apply.
- *foreign*: another manager added a field to `spec` that is neither desired nor an API default (hostPID, a second
  container, a node selector). A forced apply would keep it. Repair: a patch that removes it.

Labels and annotations of other managers stay, also on the pod template, because `kubectl rollout restart` needs them.

A path is a tuple of keys and list positions. The position in an associative list is that of the live object, because
`managedFields` names its items by merge key:

    managedFields   f:spec -> f:template -> f:spec -> f:containers -> k:{"name":"agent"} -> f:image
    path            ("spec", "template", "spec", "containers", 0, "image")
    JSON pointer    /spec/template/spec/containers/0/image
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from metricat_operator.api.fields import quantity
from metricat_operator.child_kinds import ANY_VALUE, BY_NAME
from metricat_operator.facts.model import Manifest
from metricat_operator.naming import FIELD_MANAGER

Path = tuple[str | int, ...]
Keys = tuple[str, ...]
_NO_DEFAULT = object()
_IDENTITY: frozenset[Path] = frozenset({("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")})
"""The fields that identify an object. `managedFields` never holds them."""


@dataclass(frozen=True)
class Drift:
    """The repairs of a live object: `apply` is whether to apply the desired one, `remove` are the foreign fields."""

    apply: bool = False
    remove: tuple[Path, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is any drift."""
        return self.apply or bool(self.remove)

    def patch(self, resource_version: str) -> list[dict[str, Any]]:
        """Return a JSON Patch (RFC 6902) that removes the foreign fields if the object still has this version."""
        # Remove the items of a list from its end, so that the positions before them stay valid.
        ordered = sorted(self.remove, key=lambda path: [(isinstance(part, int), str(part).zfill(8)) for part in path])
        return [_guard(resource_version), *({"op": "remove", "path": _pointer(path)} for path in reversed(ordered))]


def replacement(desired: Manifest, live: Manifest) -> list[dict[str, Any]]:
    """Return a JSON Patch that replaces the whole `spec`, for foreign items that make every apply invalid.

    Example: another manager edits the number of a Service's port. The list merges by number, so an apply adds a
    second port with the same name, and the API server rejects it.
    """
    return [_guard(live["metadata"]["resourceVersion"]), {"op": "replace", "path": "/spec", "value": desired["spec"]}]


def find_drift(desired: Manifest, live: Manifest) -> Drift:
    """Return the drift between a live child object and the desired one."""
    keys = _merge_keys(desired["kind"])
    owned: set[Path] = set()
    foreign: set[Path] = set()
    for entry in live.get("metadata", {}).get("managedFields", []):
        if entry.get("subresource"):
            continue
        fields = entry.get("fieldsV1", {})
        if entry.get("manager") != FIELD_MANAGER:
            paths = _owned_paths(fields, live, (), places=True)
            foreign |= {path for path in paths if path[0] == "spec" and not _is_metadata(path)}
        elif entry.get("operation") == "Apply":  # an Update holds the API defaults that our own patches restored
            owned.update(_owned_paths(fields, live, (), places=False))
    wanted = set(_leaves(desired, live, (), keys)) - _IDENTITY
    # A field that another manager changed is no longer ours, regardless of its value.
    lost = any(not any(path[:size] in owned for size in range(1, len(path) + 1)) for path in wanted)
    stale = any(not _related(path, wanted) for path in owned)
    strange = {
        _outermost(path, wanted) for path in foreign if not (_related(path, wanted) or _is_default(path, desired, live))
    }
    return Drift(
        apply=lost or stale or any(_differing(desired, live, (), keys)), remove=tuple(sorted(strange, key=str))
    )


def _is_default(path: Path, desired: Manifest, live: Manifest) -> bool:
    value: Any = live
    for step in path:
        value = _step(value, step)
    default = BY_NAME[desired["kind"]].defaults.get(tuple(step for step in path if isinstance(step, str)), _NO_DEFAULT)
    return default is ANY_VALUE or value == default


def _is_metadata(path: Path) -> bool:
    return path[:3] == ("spec", "template", "metadata")


def first_difference(desired: Manifest, live: Manifest) -> str:
    """Return the JSON pointer of the first missing, different or foreign field; empty without one."""
    keys = _merge_keys(desired["kind"])
    found = next(_differing(desired, live, (), keys), None) or next(iter(find_drift(desired, live).remove), None)
    return "" if found is None else _pointer(found)


def foreign_fields(status: Manifest, written: Manifest) -> list[dict[str, Any]]:
    """Return a JSON Patch that undoes other managers' changes to a status, because an apply keeps their fields."""
    found = [
        {"op": "replace", "path": f"/status/{key}", "value": status[key]}
        if key in status
        else {"op": "remove", "path": f"/status/{key}"}
        for key, value in written.get("status", {}).items()
        if key != "conditions" and value != status.get(key)
    ]
    return [_guard(written["metadata"]["resourceVersion"]), *found] if found else []


def _differing(desired: Any, live: Any, at: Path, keys: Keys) -> Iterator[Path]:
    """Yield the paths of desired fields that are missing or different in the live object. It may have more fields."""
    if isinstance(desired, dict) and isinstance(live, dict):
        for key, item in desired.items():
            yield from _differing(item, live[key], (*at, key), keys) if key in live else [(*at, key)]
    elif isinstance(desired, list) and isinstance(live, list) and _is_associative(desired, keys):
        for item in desired:
            tried = [
                list(_differing(item, other, (*at, place), keys))
                for place, other in enumerate(live)
                if _same_item(item, other, keys)
            ]
            yield from min(tried, key=len, default=[at])
    elif isinstance(desired, list) and isinstance(live, list) and len(live) == len(desired):
        for place, (item, other) in enumerate(zip(desired, live, strict=True)):
            yield from _differing(item, other, (*at, place), keys)
    elif not (desired == live or _same_quantity(desired, live)):
        yield at


def _same_quantity(desired: Any, live: Any) -> bool:
    """Return whether both are the same quantity: the API server normalizes 1024Mi to 1Gi."""
    try:
        return isinstance(live, str) and quantity(str(desired)) == quantity(live)
    except ValueError:
        return False


def _merge_keys(kind: str) -> Keys:
    return (*BY_NAME[kind].merge_keys, "uid")  # the key of metadata.ownerReferences


def _merge_key(item: Manifest, keys: Keys) -> str:
    return next((key for key in keys if key in item), "")


def _is_associative(desired: list[Any], keys: Keys) -> bool:
    return bool(desired) and all(isinstance(item, dict) and _merge_key(item, keys) for item in desired)


def _same_item(desired: Manifest, live: Manifest, keys: Keys) -> bool:
    key = _merge_key(desired, keys)
    return bool(key) and live.get(key) == desired[key]


def _owned_paths(fields: Any, live: Any, at: Path, *, places: bool) -> Iterator[Path]:
    """Yield the paths that a `fieldsV1` set owns.

    Args:
        fields: the set.
        live: the part of the live object that the set describes; it gives the positions of list items.
        at: the path of that part.
        places: also yield the maps and list items that the manager created (marked by a dot).
    """
    if at and (not fields or (places and "." in fields)):
        yield at
    for key, sub in fields.items():
        if key == ".":  # the map or list itself
            continue
        kind, _, rest = key.partition(":")
        if kind == "f":
            step: str | int | None = rest
        elif isinstance(live, list):
            step = _place(kind, rest, live)
        else:
            step = None
        if step is None:
            continue
        yield from _owned_paths(sub, _step(live, step), (*at, step), places=places)


def _place(kind: str, text: str, items: list[Any]) -> int | None:
    value = json.loads(text)
    for index, item in enumerate(items):
        if kind == "v" and item == value:
            return index
        # The set may name a merge key that the API server defaulted and the object lacks.
        if kind == "k" and isinstance(item, dict) and all(item.get(name, part) == part for name, part in value.items()):
            return index
    return None


def _leaves(desired: Any, live: Any, at: Path, keys: Keys) -> Iterator[Path]:
    """Yield the paths of the desired fields, with the live object's positions in associative lists."""
    if isinstance(desired, dict) and desired:
        for key, item in desired.items():
            yield from _leaves(item, _step(live, key), (*at, key), keys)
    elif isinstance(desired, list) and isinstance(live, list) and _is_associative(desired, keys):
        for item in desired:
            for place, other in enumerate(live):
                if _same_item(item, other, keys):
                    yield from _leaves(item, other, (*at, place), keys)
    elif isinstance(desired, list) and desired and isinstance(live, list) and all(item in live for item in desired):
        yield from ((*at, live.index(item)) for item in desired)  # in a set, each item has its own owner
    else:
        yield at


def _related(path: Path, wanted: set[Path]) -> bool:
    """Return whether the path is a wanted one, lies inside one (of an atomic list, for example), or above one."""
    return any(path[: len(other)] == other or other[: len(path)] == path for other in wanted)


def _step(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(step))
    if isinstance(value, list) and isinstance(step, int):
        return value[step] if step < len(value) else None
    return None


def _outermost(path: Path, wanted: set[Path]) -> Path:
    """Return the outermost map or list around the path without a wanted field. Otherwise an empty one would remain."""
    return next(path[:size] for size in range(1, len(path) + 1) if not _related(path[:size], wanted))


def _guard(resource_version: str) -> dict[str, Any]:
    return {"op": "test", "path": "/metadata/resourceVersion", "value": resource_version}


def _pointer(path: Path) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
