"""Validation of responses, so that no content from a proxy reaches the rest of the operator.

A proxy may send a sign-in page, half a body or an empty one with status 200. Other fields than the metadata are not
validated here: the API server validates them by the schema of the kind.
"""

import json
from typing import Any

from metricat_operator.cluster.kinds import Kind
from metricat_operator.facts.model import Manifest


class InvalidResponseError(ValueError):
    """The response does not have the form that the API server uses for this request."""


def parse_object(data: bytes, kind: Kind) -> Manifest:
    """Return an object of the kind.

    Raises:
        InvalidResponseError: the data is not an object of the kind.
    """
    return check_object(_parse(data), kind)


def parse_deletion(data: bytes) -> Manifest:
    """Return the response to a deletion: the object or a `Status`.

    Raises:
        InvalidResponseError: the data is neither.
    """
    found = _mapping(_parse(data), "a deletion")
    _text(found, "kind", "a deletion")
    return found


def parse_page(data: bytes, kind: Kind) -> tuple[list[Manifest], str, str]:
    """Return the items of a page of a list, its resource version and the token of the next page.

    Raises:
        InvalidResponseError: the data is not such a page.
    """
    name = f"{kind.name}List"
    page = _mapping(_parse(data), name)
    if page.get("kind") != name:
        raise InvalidResponseError(f"expected kind {name}, not {page.get('kind')!r}")
    metadata = _mapping(page.get("metadata"), f"the metadata of {name}")
    items = page.get("items") or []
    if not isinstance(items, list):
        raise InvalidResponseError(f"the items of {name} are not a list: {_short(items)}")
    for item in items:
        _identified(item, kind)
    return items, _text(metadata, "resourceVersion", name), str(metadata.get("continue") or "")


def parse_event(line: bytes, kind: Kind) -> tuple[str, Manifest]:
    """Return the type and the object of a watch event. The object of an event of type `ERROR` is a `Status`.

    Raises:
        InvalidResponseError: the line is not a watch event for an object of the kind.
    """
    event = _mapping(_parse(line), "a watch event")
    event_type = _text(event, "type", "a watch event")
    found = _mapping(event.get("object"), "the object of a watch event")
    if event_type == "BOOKMARK":
        _text(_mapping(found.get("metadata"), "the metadata of a bookmark"), "resourceVersion", "a bookmark")
    elif event_type in {"ADDED", "MODIFIED", "DELETED"}:
        _identified(check_object(found, kind), kind)
        _text(found["metadata"], "resourceVersion", kind.name)
    elif event_type != "ERROR":
        raise InvalidResponseError(f"unknown type of a watch event: {event_type!r}")
    return event_type, found


def check_object(found: Any, kind: Kind) -> Manifest:
    """Return the object if it has this kind.

    Raises:
        InvalidResponseError: it has another kind, or it is not an object.
    """
    checked = _mapping(found, kind.name)
    if checked.get("kind") != kind.name:
        raise InvalidResponseError(f"expected kind {kind.name}, not {checked.get('kind')!r}")
    _mapping(checked.get("metadata", {}), f"the metadata of {kind.name}")
    return checked


def _identified(found: Any, kind: Kind) -> None:
    metadata = _mapping(_mapping(found, kind.name).get("metadata"), f"the metadata of {kind.name}")
    _text(metadata, "name", kind.name)


def _parse(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidResponseError(f"the response is not JSON: {error}; it begins with {_short(data)}") from error


def _mapping(found: Any, what: str) -> Manifest:
    if not isinstance(found, dict):
        raise InvalidResponseError(f"expected {what} as a JSON object, not {_short(found)}")
    return found


def _text(found: Manifest, key: str, what: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise InvalidResponseError(f"{what} has no {key}")
    return value


def _short(value: object) -> str:
    return repr(value[:60] if isinstance(value, bytes | str | list) else value)[:120]
