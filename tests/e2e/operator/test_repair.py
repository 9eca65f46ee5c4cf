"""What breaks comes back: a pod by its DaemonSet, a child by the operator."""

import time

import pytest

from metricat_tools.demo.scene import SERVICE, Scene
from metricat_tools.stack.ask import NAMESPACE
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e
CHILDREN = ("daemonset", "service", "serviceaccount", "servicemonitor", "prometheusrule")


def uid(scene: Scene, kind: str) -> str:
    return scene.kubectl.run(
        *("get", kind, SERVICE, "--namespace", NAMESPACE, "--ignore-not-found", "--output=jsonpath={.metadata.uid}")
    )


def ready_agents(scene: Scene) -> dict[str, str]:
    """The names of the ready agents' pods by node."""
    pods = scene.kubectl.items("pods", "--namespace", NAMESPACE, "--selector=metricat.dev/target=nodes")
    return {
        pod["spec"]["nodeName"]: pod["metadata"]["name"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
    }


def test_a_deleted_agent_comes_back_and_is_scraped(scene: Scene) -> None:
    before = ready_agents(scene)
    scene.kubectl.run("delete", "pod", before["n1"], "--namespace", NAMESPACE)
    until("another agent on n1", lambda: ready_agents(scene).get("n1", before["n1"]) != before["n1"])
    started = time.time()
    query = f'timestamp(up{{service="{SERVICE}",node="n1"}} == 1) > {started}'
    until("a scrape of the new agent", lambda: scene.prometheus.query(query))
    until("the target to be ready", scene.ready)


@pytest.mark.parametrize("kind", CHILDREN)
def test_a_deleted_child_is_made_again(scene: Scene, kind: str) -> None:
    before = uid(scene, kind)
    scene.kubectl.run("delete", kind, SERVICE, "--namespace", NAMESPACE, "--wait=false")
    until(f"another {kind}", lambda: uid(scene, kind) not in {"", before}, seconds=30)
    until("the agents", lambda: ready_agents(scene).keys() == {"n1", "n2"})
    until("the target to be ready", scene.ready)


def test_an_edited_child_is_put_right(scene: Scene) -> None:
    patch = '{"spec": {"template": {"spec": {"hostNetwork": true}}}}'
    scene.kubectl.run("patch", "daemonset", SERVICE, "--namespace", NAMESPACE, "--type=merge", f"--patch={patch}")

    def gone() -> bool:
        found = scene.kubectl.get("daemonset", SERVICE, "--namespace", NAMESPACE)
        return not found["spec"]["template"]["spec"].get("hostNetwork", False)

    until("hostNetwork to be taken out", gone, seconds=30)
    until("the agents", lambda: ready_agents(scene).keys() == {"n1", "n2"})
    until("the target to be ready", scene.ready)
