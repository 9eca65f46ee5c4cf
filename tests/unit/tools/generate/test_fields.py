"""The page of fields has every field, and its links have a target."""

import re
from collections.abc import Iterator

import pytest

from metricat_operator.api.status import Status
from metricat_operator.api.v1alpha1 import Spec
from metricat_tools.generate import crd, fields


@pytest.fixture(scope="module")
def page() -> str:
    return fields.page()


def names(schema: crd.Schema) -> Iterator[str]:
    inner = schema.get("items", schema)
    for name, field in inner.get("properties", {}).items():
        yield name
        yield from names(field)


def test_every_field_is_on_the_page(page: str) -> None:
    wanted = {*names(crd.structural(Spec)), *names(crd.structural(Status))}
    assert len(wanted) > 100
    assert {name for name in wanted if f"`{name}`" not in page and f"{name}: " not in page} == set()


def test_every_link_has_its_section(page: str) -> None:
    links = set(re.findall(r"\]\(#([^)]*)\)", page))
    sections = {re.sub(r"[^a-z0-9_-]", "", line[3:].lower()) for line in page.splitlines() if line.startswith("## ")}
    assert len(links) > 20
    assert links <= sections


def test_page_has_defaults_and_rejections(page: str) -> None:
    assert "| `port` | integer, 1 to 65535 | 9100 |" in page
    assert "- serverName needs tlsSecretName" in page
    assert "| [`NodeCPUUsageHigh`](../runbooks/NodeCPUUsageHigh.md) | `warning: {enabled: true" in page
