"""Compressed objects decompress to the same objects, and differ only if the objects differ."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metricat_operator.cluster.compressed import pack, unpack

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def service(version: str, spec: Any) -> dict[str, Any]:
    owner = {"uid": "1", "name": "nodes"}
    metadata = {"name": "s", "namespace": "m", "uid": "s", "resourceVersion": version, "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


@given(JSON)
def test_unpack_returns_the_packed_object(spec: Any) -> None:
    assert unpack(pack(service("7", spec))) == service("7", spec)


@given(JSON, JSON)
def test_pack_ignores_the_resource_version(one: Any, other: Any) -> None:
    first, second = pack(service("7", one)), pack(service("8", other))
    assert (first["packed"] == second["packed"]) == (repr(one) == repr(other))
    assert first["metadata"]["ownerReferences"] == [{"uid": "1", "name": "nodes"}]


def test_rules_compress_well() -> None:
    groups = [{"name": "g", "rules": [{"alert": f"A{n}", "expr": "sum(rate(x[5m])) > 1"} for n in range(200)]}]
    assert len(pack(service("7", {"groups": groups}))["packed"]) < 2000
