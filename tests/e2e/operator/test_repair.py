"""Deleted objects are recreated: a pod by its DaemonSet, a child object by the operator."""

import time

import pytest

from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.wait import until
from support.harness import WANTED_CHILDREN

pytestmark = pytest.mark.e2e


def uid(demo: DemoCluster, kind: str) -> str:
    return demo.kubectl.run(
        *("get", kind, SERVICE, "--namespace", NAMESPACE, "--ignore-not-found", "--output=jsonpath={.metadata.uid}")
    )


def ready_agents(demo: DemoCluster) -> dict[str, str]:
    """Return the names of the ready agents' pods by node."""
    pods = demo.kubectl.items("pods", "--namespace", NAMESPACE, "--selector=metricat.dev/target=nodes")
    return {
        pod["spec"]["nodeName"]: pod["metadata"]["name"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    }


def test_deleted_agent_is_recreated_and_scraped(demo: DemoCluster) -> None:
    before = ready_agents(demo)
    demo.kubectl.run("delete", "pod", before["n1"], "--namespace", NAMESPACE)
    until("another agent on n1", lambda: ready_agents(demo).get("n1", before["n1"]) != before["n1"])
    started = time.time()
    up = f'up{{service="{SERVICE}",node="n1"}}'
    until("a scrape of the new agent", lambda: [one.value for one in demo.prometheus.scraped_since(started, up)] == [1])
    until("the target to be ready", demo.ready)


@pytest.mark.parametrize("kind", WANTED_CHILDREN)
def test_deleted_child_is_recreated(demo: DemoCluster, kind: str) -> None:
    before = uid(demo, kind)
    demo.kubectl.run("delete", kind, SERVICE, "--namespace", NAMESPACE, "--wait=false")
    until(f"another {kind}", lambda: uid(demo, kind) not in {"", before}, seconds=30)
    until("the agents", lambda: ready_agents(demo).keys() == {"n1", "n2"})
    until("the target to be ready", demo.ready)


def test_edited_child_is_repaired(demo: DemoCluster) -> None:
    patch = '{"spec": {"template": {"spec": {"hostNetwork": true}}}}'
    demo.kubectl.run("patch", "daemonset", SERVICE, "--namespace", NAMESPACE, "--type=merge", f"--patch={patch}")

    def gone() -> bool:
        found = demo.kubectl.get("daemonset", SERVICE, "--namespace", NAMESPACE)
        return not found["spec"]["template"]["spec"].get("hostNetwork", False)

    until("hostNetwork to be removed", gone, seconds=30)
    until("the agents", lambda: ready_agents(demo).keys() == {"n1", "n2"})
    until("the target to be ready", demo.ready)
