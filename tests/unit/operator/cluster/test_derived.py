"""Values derived from a cache are computed once for all readers, and are never out of date."""

from hypothesis import given
from hypothesis import strategies as st

from metricat_operator.api.selectors import Requirement, Requirements, matches
from metricat_operator.cluster.cluster_cache import ClusterCache
from metricat_operator.facts.model import Manifest


def node(name: str, version: int, **labels: str) -> Manifest:
    metadata = {"name": name, "uid": name, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, "spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def nodes(cluster: ClusterCache, target: str) -> dict[str, dict[str, str]]:
    return {one.name: dict(one.labels) for one in cluster.facts("m", target, target).nodes}


def test_facts_share_the_nodes_until_one_changes() -> None:
    cluster = ClusterCache(lambda *_: None)
    for name in ("b", "a"):
        cluster.nodes.put(node(name, 1))
    first = cluster.facts("m", "one", "1").nodes
    assert [one.name for one in first] == ["a", "b"]
    assert cluster.facts("m", "two", "2").nodes is first
    cluster.nodes.put(node("a", 2, team="x"))
    assert nodes(cluster, "one") == {"a": {"team": "x"}, "b": {}}
    cluster.nodes.put(node("a", 1))  # an older state
    assert nodes(cluster, "one") == {"a": {"team": "x"}, "b": {}}


def test_heartbeat_causes_no_recomputation() -> None:
    cluster = ClusterCache(lambda *_: None)
    cluster.nodes.put(node("a", 1))
    first = cluster.facts("m", "one", "1").nodes
    cluster.nodes.put(node("a", 2))
    assert cluster.facts("m", "one", "1").nodes is first


labels = st.dictionaries(st.sampled_from(["team", "zone"]), st.sampled_from(["a", "b", "c"]))
wishes = st.lists(
    st.builds(
        Requirement,
        st.sampled_from(["team", "zone"]),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True).map(tuple),
    )
    | st.builds(Requirement, st.sampled_from(["team", "zone"]), st.sampled_from(["Exists", "DoesNotExist"])),
).map(tuple)


@given(st.lists(labels, max_size=8), wishes)
def test_node_index_agrees_with_the_selector(each: list[dict[str, str]], wanted: Requirements) -> None:
    cluster = ClusterCache(lambda *_: None)
    for number, one in enumerate(each):
        cluster.nodes.put(node(f"n{number}", 1, **one))
    found = cluster.facts("m", "one", "1", wanted).nodes
    assert [one.name for one in found] == [f"n{number}" for number, one in enumerate(each) if matches(wanted, one)]


def test_child_belongs_to_its_owner() -> None:
    cluster = ClusterCache(lambda *_: None)

    def put(version: int, *owners: str) -> None:
        metadata = {"name": "s", "namespace": "m", "uid": "s", "resourceVersion": str(version)}
        cluster.children["Service"].put({"metadata": {**metadata, "ownerReferences": [{"uid": one} for one in owners]}})

    put(1, "1")
    assert [key.name for key in cluster.facts("m", "one", "1").children] == ["s"]
    assert cluster.facts("other", "one", "1").children == {}
    put(2)
    assert cluster.facts("m", "one", "1").children == {}
