"""The parser rejects and accepts values at a boundary as the API server does, and never raises."""

from collections.abc import Iterator
from typing import Any

import pytest

from metricat_operator.api.parse import parse
from metricat_operator.api.v1alpha1 import Spec
from metricat_tools.generate import crd
from support.boundary_specs import ACCEPTED, REJECTED

WRONG = {"boolean": "true", "integer": "1", "number": "1", "string": 1}


@pytest.mark.parametrize("what", REJECTED)
def test_parser_rejects_what_the_api_server_rejects(what: str) -> None:
    assert parse(REJECTED[what]).errors


@pytest.mark.parametrize("what", ACCEPTED)
def test_parser_accepts_what_the_api_server_accepts(what: str) -> None:
    assert parse(ACCEPTED[what]).errors == ()


def scalars(schema: dict[str, Any], path: str = "spec") -> Iterator[tuple[str, str]]:
    """Yield path and type of each scalar field."""
    if schema.get("type") == "object":
        for name, field in schema.get("properties", {}).items():
            if "Deprecated" not in field.get("description", ""):
                yield from scalars(field, f"{path}.{name}")
    elif schema.get("type") == "array":
        yield from scalars(schema["items"], f"{path}[0]")
    elif "type" in schema:
        yield path, schema["type"]


def spec_with(path: str, value: object) -> dict[str, Any]:
    for part in reversed(path.split(".")[1:]):
        value = {part.removesuffix("[0]"): [value] if part.endswith("[0]") else value}
    assert isinstance(value, dict)
    return value


def test_parser_rejects_a_value_of_another_type_in_each_field() -> None:
    found = list(scalars(crd.structural(Spec)))
    assert len(found) > 200
    for path, kind in found:
        errors = parse(spec_with(path, WRONG[kind])).errors
        assert [one for one in errors if one.startswith((f"{path}:", f"{path}."))], path


@pytest.mark.parametrize("text", ["1e1000000", "1e-1000000", "1e1000000000000", "9" * 1000])
def test_extreme_quantity_does_not_raise(text: str) -> None:
    assert parse({"agent": {"resources": {"requests": {"memory": text}}}}).errors
