"""The pipeline from agents to alerts on a cluster with nodes: its status, and faults that a test makes and removes."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from metricat_tools.cluster.node import ClusterNode
from metricat_tools.demo.demo_cluster import DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.wait import until

NAMED_SECONDS = 60
CLEARED_SECONDS = 180
"""A longer timeout: after a repair, a pod may have to start, and Prometheus must discover it."""
PLACE = ("--namespace", NAMESPACE)
_TABLE = "broken-link"


def condition(demo: DemoCluster, kind: str) -> dict[str, str]:
    found: dict[str, str] = next(one for one in demo.target()["status"]["conditions"] if one["type"] == kind)
    return found


def named(demo: DemoCluster, kind: str, reason: str, *words: str, seconds: float = NAMED_SECONDS) -> str:
    """Wait until the condition is not True for this reason, and return its message, which contains these words."""

    def message() -> str | None:
        found = condition(demo, kind)
        holds = found["status"] != "True" and found["reason"] == reason
        return found["message"] if holds and all(word in found["message"] for word in words) else None

    return until(f"{kind}: {reason}", message, seconds=seconds, why=lambda: str(condition(demo, kind)))


def uncovered(demo: DemoCluster, node: str, reason: str) -> str:
    """Wait until the status lists the node with this reason, and return the message."""

    def message() -> str | None:
        found = {one["node"]: one for one in demo.target()["status"]["uncovered"]}
        return found[node]["message"] if node in found and found[node]["reason"] == reason else None

    return until(
        f"{node}: {reason}", message, seconds=NAMED_SECONDS, why=lambda: str(demo.target()["status"]["uncovered"])
    )


def monitored(demo: DemoCluster) -> bool:
    return demo.ready() and condition(demo, "Monitored")["status"] == "True"


@contextmanager
def broken(demo: DemoCluster, repair: Callable[[], object]) -> Iterator[None]:
    """Repair after the context the part that a test breaks, and wait until the status reports no problem."""
    try:
        yield
    finally:
        repair()
    why = lambda: str([condition(demo, kind) for kind in ("Ready", "Monitored")])  # noqa: E731 (it is two words)
    until("the status to clear", lambda: monitored(demo), seconds=CLEARED_SECONDS, why=why)
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
def dropped(demo: DemoCluster, node: ClusterNode, match: str) -> Iterator[None]:
    """Drop matching packets that this node forwards, also between its own pods: each pod has a link of its own."""
    with broken(demo, lambda: node.run("nft", "delete", "table", "ip", _TABLE)):
        node.run("nft", "add", "table", "ip", _TABLE)
        node.run("nft", f"add chain ip {_TABLE} forward {{ type filter hook forward priority -200; }}")
        node.run("nft", f"add rule ip {_TABLE} forward {match} drop")
        yield
