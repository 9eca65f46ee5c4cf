"""What is made of a cache is made once for all who read it, and never out of date."""

from metricat_operator.cluster.facts import Observer
from metricat_operator.observed import Manifest


def node(name: str, version: int, **labels: str) -> Manifest:
    metadata = {"name": name, "uid": name, "resourceVersion": str(version), "labels": labels}
    return {"metadata": metadata, "spec": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def nodes(observer: Observer, target: str) -> dict[str, dict[str, str]]:
    return {one.name: dict(one.labels) for one in observer.facts("m", target, target).nodes}


def test_facts_share_the_nodes_until_one_changes() -> None:
    observer = Observer(lambda *_: None)
    for name in ("b", "a"):
        observer.nodes.put(node(name, 1))
    first = observer.facts("m", "one", "1").nodes
    assert [one.name for one in first] == ["a", "b"]
    assert observer.facts("m", "two", "2").nodes is first
    observer.nodes.put(node("a", 2, team="x"))
    assert nodes(observer, "one") == {"a": {"team": "x"}, "b": {}}
    observer.nodes.put(node("a", 1))  # an older state
    assert nodes(observer, "one") == {"a": {"team": "x"}, "b": {}}


def test_a_child_is_its_owners() -> None:
    observer = Observer(lambda *_: None)

    def put(version: int, *owners: str) -> None:
        metadata = {"name": "s", "namespace": "m", "uid": "s", "resourceVersion": str(version)}
        observer.children["Service"].put(
            {"metadata": {**metadata, "ownerReferences": [{"uid": one} for one in owners]}}
        )

    put(1, "1")
    assert [key.name for key in observer.facts("m", "one", "1").children] == ["s"]
    assert observer.facts("other", "one", "1").children == {}
    put(2)
    assert observer.facts("m", "one", "1").children == {}
