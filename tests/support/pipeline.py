"""The chain from agents to alerts on a cluster with nodes: what its status says, and breaking and mending a link."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from metricat_tools.cluster.node import Node
from metricat_tools.demo.scene import Scene
from metricat_tools.stack.ask import NAMESPACE
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.wait import until

NAMED_SECONDS = 60
CLEARED_SECONDS = 180
"""Longer: what mends a link may have to start a pod, and Prometheus to find it."""
PLACE = ("--namespace", NAMESPACE)
_TABLE = "broken-link"


def condition(scene: Scene, kind: str) -> dict[str, str]:
    found: dict[str, str] = next(one for one in scene.target()["status"]["conditions"] if one["type"] == kind)
    return found


def named(scene: Scene, kind: str, reason: str, *words: str, seconds: float = NAMED_SECONDS) -> str:
    """The condition's message, once it is not true for this reason and holds these words."""

    def told() -> str | None:
        found = condition(scene, kind)
        holds = found["status"] != "True" and found["reason"] == reason
        return found["message"] if holds and all(word in found["message"] for word in words) else None

    return until(f"{kind}: {reason}", told, seconds=seconds, why=lambda: str(condition(scene, kind)))


def uncovered(scene: Scene, node: str, reason: str) -> str:
    """What the status says of a node without a ready agent, once it gives this reason."""

    def told() -> str | None:
        found = {one["node"]: one for one in scene.target()["status"]["uncovered"]}
        return found[node]["message"] if node in found and found[node]["reason"] == reason else None

    return until(
        f"{node}: {reason}", told, seconds=NAMED_SECONDS, why=lambda: str(scene.target()["status"]["uncovered"])
    )


def monitored(scene: Scene) -> bool:
    return scene.ready() and condition(scene, "Monitored")["status"] == "True"


@contextmanager
def broken(scene: Scene, mend: Callable[[], object]) -> Iterator[None]:
    """What is broken inside is mended after, and the status clears."""
    try:
        yield
    finally:
        mend()
    why = lambda: str([condition(scene, kind) for kind in ("Ready", "Monitored")])  # noqa: E731 (it is two words)
    until("it to clear", lambda: monitored(scene), seconds=CLEARED_SECONDS, why=why)
    assert scene.target()["status"]["nodes"]["scraped"] == 2


def patch(scene: Scene, kind: str, name: str, change: object) -> None:
    scene.kubectl.run("patch", kind, name, *PLACE, "--type=merge", f"--patch={json.dumps(change)}")


def pods(scene: Scene, selector: str) -> list[Object]:
    found = scene.kubectl.items("pods", *PLACE, f"--selector={selector}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def agents(scene: Scene) -> dict[str, Object]:
    return {pod["spec"]["nodeName"]: pod for pod in pods(scene, "metricat.dev/target=nodes")}


def delete_agent(scene: Scene, node: str) -> None:
    scene.kubectl.run("delete", "pod", agents(scene)[node]["metadata"]["name"], *PLACE)


@contextmanager
def dropped(scene: Scene, node: Node, match: str) -> Iterator[None]:
    """Packets between pods that match are dropped on this node; each pod hangs on its node by a link of its own."""
    with broken(scene, lambda: node.run("nft", "delete", "table", "ip", _TABLE)):
        node.run("nft", "add", "table", "ip", _TABLE)
        node.run("nft", f"add chain ip {_TABLE} forward {{ type filter hook forward priority -200; }}")
        node.run("nft", f"add rule ip {_TABLE} forward {match} drop")
        yield
