"""The CRDs: each field has a description, which `kubectl explain` and the reference page show."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.paths import ROOT

_OF_EVERY_OBJECT = {"apiVersion", "kind", "metadata"}
"""Fields that the API server describes itself."""

_AS_ABOVE = "spec.pools.alerts.rules."
"""Fields of an alert of a pool are described in spec.alerts.rules."""

_MOST_BYTES = 262_144
"""Maximum size of all annotations of an object. `kubectl apply` stores the object in one."""


def undescribed(schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """Yield the paths of the fields without a description, at every depth."""
    for name, field in schema.get("properties", {}).items():
        path = f"{at}.{name}" if at else name
        if not field.get("description"):
            yield path
        yield from undescribed(field, path)
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from undescribed(inner, at)


@pytest.mark.parametrize("path", sorted((ROOT / "crds").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_field_has_a_description(path: Path) -> None:
    for version in yaml.safe_load(path.read_text())["spec"]["versions"]:
        found = set(undescribed(version["schema"]["openAPIV3Schema"]))
        assert {one for one in found if not one.startswith(_AS_ABOVE)} == _OF_EVERY_OBJECT
        assert all(one.removeprefix(_AS_ABOVE).count(".") for one in found - _OF_EVERY_OBJECT), "of an alert itself"


@pytest.mark.parametrize("path", sorted((ROOT / "crds").glob("*.yaml")), ids=lambda path: path.stem)
def test_crd_can_be_applied_without_server_side_apply(path: Path) -> None:
    stored = json.dumps(yaml.safe_load(path.read_text()), separators=(",", ":"))
    assert len(stored.encode()) < _MOST_BYTES - 30_000, (
        "shorten texts of the API types: other annotations need the rest"
    )


def test_a_field_without_a_description_is_found_at_every_depth() -> None:
    bare = {"properties": {"name": {"type": "string"}}}
    nested = {"properties": {"list": {"description": "A list.", "items": bare}}}
    assert list(undescribed(nested)) == ["list.name"]
