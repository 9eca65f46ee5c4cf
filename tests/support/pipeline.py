"""The chain from agents to alerts on a cluster with nodes: what its status says, and breaking and mending a link."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from metricat_tools.cluster.node import Node
from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.wait import until

NAMED_SECONDS = 60
CLEARED_SECONDS = 180
"""Longer: what mends a link may have to start a pod, and Prometheus to find it."""
PLACE = ("--namespace", NAMESPACE)
_TABLE = "broken-link"


def condition(demo: DemoCluster, kind: str) -> dict[str, str]:
    found: dict[str, str] = next(one for one in demo.target()["status"]["conditions"] if one["type"] == kind)
    return found


def named(demo: DemoCluster, kind: str, reason: str, *words: str, seconds: float = NAMED_SECONDS) -> str:
    """The condition's message, once it is not true for this reason and holds these words."""

    def told() -> str | None:
        found = condition(demo, kind)
        holds = found["status"] != "True" and found["reason"] == reason
        return found["message"] if holds and all(word in found["message"] for word in words) else None

    return until(f"{kind}: {reason}", told, seconds=seconds, why=lambda: str(condition(demo, kind)))


def uncovered(demo: DemoCluster, node: str, reason: str) -> str:
    """What the status says of a node without a ready agent, once it gives this reason."""

    def told() -> str | None:
        found = {one["node"]: one for one in demo.target()["status"]["uncovered"]}
        return found[node]["message"] if node in found and found[node]["reason"] == reason else None

    return until(
        f"{node}: {reason}", told, seconds=NAMED_SECONDS, why=lambda: str(demo.target()["status"]["uncovered"])
    )


def monitored(demo: DemoCluster) -> bool:
    return demo.ready() and condition(demo, "Monitored")["status"] == "True"


@contextmanager
def broken(demo: DemoCluster, mend: Callable[[], object]) -> Iterator[None]:
    """What is broken inside is mended after, and the status clears."""
    try:
        yield
    finally:
        mend()
    why = lambda: str([condition(demo, kind) for kind in ("Ready", "Monitored")])  # noqa: E731 (it is two words)
    until("it to clear", lambda: monitored(demo), seconds=CLEARED_SECONDS, why=why)
    assert demo.target()["status"]["nodes"]["scraped"] == 2


def patch(demo: DemoCluster, kind: str, name: str, change: object) -> None:
    demo.kubectl.run("patch", kind, name, *PLACE, "--type=merge", f"--patch={json.dumps(change)}")


def pods(demo: DemoCluster, selector: str) -> list[Object]:
    found = demo.kubectl.items("pods", *PLACE, f"--selector={selector}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def agents(demo: DemoCluster) -> dict[str, Object]:
    return {pod["spec"]["nodeName"]: pod for pod in pods(demo, "metricat.dev/target=nodes")}


def delete_agent(demo: DemoCluster, node: str) -> None:
    demo.kubectl.run("delete", "pod", agents(demo)[node]["metadata"]["name"], *PLACE)


@contextmanager
def dropped(demo: DemoCluster, node: Node, match: str) -> Iterator[None]:
    """Packets between pods that match are dropped on this node; each pod hangs on its node by a link of its own."""
    with broken(demo, lambda: node.run("nft", "delete", "table", "ip", _TABLE)):
        node.run("nft", "add", "table", "ip", _TABLE)
        node.run("nft", f"add chain ip {_TABLE} forward {{ type filter hook forward priority -200; }}")
        node.run("nft", f"add rule ip {_TABLE} forward {match} drop")
        yield
