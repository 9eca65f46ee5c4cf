"""The page of fields has every field, and its links have a target."""

import re
from collections.abc import Iterator

from metricat_operator.api.status import Status
from metricat_operator.api.v1alpha1 import Spec
from metricat_tools.generate import crd, fields

PAGE = fields.page()


def names(schema: crd.Schema) -> Iterator[str]:
    inner = schema.get("items", schema)
    for name, field in inner.get("properties", {}).items():
        yield name
        yield from names(field)


def test_every_field_is_on_the_page() -> None:
    wanted = {*names(crd.structural(Spec)), *names(crd.structural(Status))}
    assert len(wanted) > 100
    assert {name for name in wanted if f"`{name}`" not in PAGE and f"{name}: " not in PAGE} == set()


def test_every_link_has_its_section() -> None:
    links = set(re.findall(r"\]\(#([^)]*)\)", PAGE))
    sections = {re.sub(r"[^a-z0-9_-]", "", line[3:].lower()) for line in PAGE.splitlines() if line.startswith("## ")}
    assert len(links) > 20
    assert links <= sections


def test_page_has_defaults_and_rejections() -> None:
    assert "| `port` | integer, 1 to 65535 | 9100 |" in PAGE
    assert "- serverName needs tlsSecretName" in PAGE
    assert "| [`NodeCPUUsageHigh`](../runbooks/NodeCPUUsageHigh.md) | `warning: {enabled: true" in PAGE
