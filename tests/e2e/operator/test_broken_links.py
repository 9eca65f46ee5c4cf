"""Each link of the chain from agents to alerts is broken in turn: the status names it, and clears when it is mended."""

import shlex
from collections.abc import Callable

import pytest

from metricat_tools.cluster import NodeCluster
from metricat_tools.demo.scene import SERVICE, Scene, target
from metricat_tools.stack.ask import NAMESPACE
from metricat_tools.stack.install import hurry, manifest
from metricat_tools.stack.kubectl import KubectlError, Object
from metricat_tools.stack.wait import until
from support.pipeline import (
    CLEARED_SECONDS,
    NAMED_SECONDS,
    PLACE,
    agents,
    broken,
    condition,
    delete_agent,
    dropped,
    monitored,
    named,
    patch,
    pods,
    uncovered,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def somewhere(scene: Scene, reason: str, seconds: float = NAMED_SECONDS) -> str:
    """What the status says of any node without a ready agent, once one is so for this reason."""

    def told() -> str | None:
        found: dict[str, str] = {one["reason"]: one["message"] for one in scene.target()["status"]["uncovered"]}
        return found.get(reason)

    return until(reason, told, seconds=seconds, why=lambda: str(scene.target()["status"]["uncovered"]))


def use_image(scene: Scene, image: str) -> None:
    """Have the operator give the agents another image."""
    scene.kubectl.run("set", "env", "deployment/metricat", *PLACE, f"METRICAT_AGENT_IMAGE={image}")


@pytest.fixture(autouse=True)
def whole(scene: Scene) -> None:
    """Every link is whole before it is broken."""
    until("the monitoring to work", lambda: monitored(scene), seconds=CLEARED_SECONDS, why=lambda: str(scene.target()))


def as_before(scene: Scene) -> Callable[[], None]:
    return lambda: scene.kubectl.apply(target())


def extra_rule(scene: Scene, expr: str) -> None:
    group = {"name": "own", "rules": [{"record": "own:rule", "expr": expr}]}
    patch(scene, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": [group]}}})


def no_extra_rule(scene: Scene) -> None:
    patch(scene, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": None}}})


def test_a_monitor_that_nobody_selects(scene: Scene) -> None:
    with broken(scene, as_before(scene)):
        patch(scene, "mtarget", "nodes", {"spec": {"monitor": {"labels": None}}})
        message = named(scene, "Discovered", "LabelMissing", "it asks for release=demo")
        named(scene, "Monitored", "LabelMissing")
        _, *words = shlex.split(message.rpartition("; ")[2])
        scene.kubectl.run(*words)
        until("the printed command to mend it", lambda: condition(scene, "Discovered")["status"] == "True", seconds=60)


def test_a_prometheus_that_may_not_discover(scene: Scene) -> None:
    with broken(scene, lambda: scene.kubectl.apply(manifest("prometheus.yaml"))):
        scene.kubectl.run("delete", "clusterrolebinding", "prometheus-demo")
        scene.kubectl.run("delete", "pod", "prometheus-demo-0", *PLACE)  # a running one keeps what it has found
        message = named(scene, "Scraped", "NoTargets", "it must be allowed to list")
        _, *words = shlex.split(message.rpartition(": ")[2])
        with pytest.raises(KubectlError, match=r"can-i.*failed: no$"):
            scene.kubectl.run(*words)


def test_a_rule_that_the_prometheus_operator_rejects(scene: Scene) -> None:
    with broken(scene, lambda: no_extra_rule(scene)):
        extra_rule(scene, "sum(")
        named(scene, "RulesLoaded", "RuleRejected", f"extra-{SERVICE}", "spec.alerts.extraGroups[0].rules[0].expr")


def test_a_rule_that_fails_in_evaluation(scene: Scene) -> None:
    with broken(scene, lambda: no_extra_rule(scene)):
        extra_rule(scene, "up * on (job) group_left () up")
        until("the Prometheus Operator to pass it on", lambda: handed_on(scene), seconds=30)
        hurry(scene.kubectl)
        named(scene, "RulesLoaded", "RuleFails", "own:rule in group own", "many-to-many matching not allowed")
    hurry(scene.kubectl)


def handed_on(scene: Scene) -> bool:
    maps = scene.kubectl.items("configmaps", *PLACE, "--selector=managed-by=prometheus-operator")
    return any("own:rule" in text for one in maps for text in one.get("data", {}).values())


def test_an_agent_that_prometheus_does_not_reach(scene: Scene, cluster: NodeCluster) -> None:
    [prometheus] = pods(scene, "prometheus=demo")
    name = next(name for name in scene.nodes() if name != prometheus["spec"]["nodeName"])
    node = cluster.node(name)
    address = agents(scene)[name]["status"]["podIP"]
    with dropped(scene, node, f"ip daddr {address}"):
        named(scene, "Scraped", "TargetsDown", f"1/2 nodes are up in Prometheus {NAMESPACE}/demo; {name}: Get")
        assert condition(scene, "AgentsReady")["status"] == "True"


def test_a_prometheus_that_the_operator_does_not_reach(scene: Scene, cluster: NodeCluster) -> None:
    [prometheus] = pods(scene, "prometheus=demo")
    leader = scene.kubectl.get("lease", "metricat", *PLACE)["spec"]["holderIdentity"]
    operator = scene.kubectl.get("pod", leader, *PLACE)
    node = cluster.node(prometheus["spec"]["nodeName"])
    between = f"ip saddr {operator['status']['podIP']} ip daddr {prometheus['status']['podIP']}"
    with dropped(scene, node, between):
        message = named(scene, "Scraped", "Timeout", "if a NetworkPolicy keeps Metricat out, let it in")
        assert condition(scene, "Monitored")["status"] == "Unknown"
        policy = shlex.split(message.rpartition("let it in: ")[2])[1]
        scene.kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=policy)


def test_no_prometheus_runs(scene: Scene) -> None:
    with broken(scene, lambda: patch(scene, "prometheus", "demo", {"spec": {"replicas": 1}})):
        patch(scene, "prometheus", "demo", {"spec": {"replicas": 0}})
        named(scene, "Scraped", "NoPods", "it has no pod")
        named(scene, "RulesLoaded", "NoPods")


def test_an_image_that_cannot_be_pulled(scene: Scene) -> None:
    def told() -> bool:
        reasons = {one["reason"] for one in scene.target()["status"]["uncovered"]}
        return bool(reasons & {"ErrImagePull", "ImagePullBackOff"})

    with broken(scene, lambda: use_image(scene, scene.images["agent"])):
        use_image(scene, "localhost/metricat/agent:no-such")
        until("the image to be named", told, seconds=NAMED_SECONDS, why=lambda: str(scene.target()["status"]))
        until("what is not scraped", lambda: "no ready agent: " in condition(scene, "Scraped")["message"], seconds=90)
        named(scene, "Ready", "NodesUncovered")


def test_an_agent_that_ends_at_once(scene: Scene) -> None:
    """The operator's image in place of the agent's: it knows none of the flags."""
    with broken(scene, lambda: use_image(scene, scene.images["agent"])):
        use_image(scene, scene.images["operator"])
        message = somewhere(scene, "CrashLoopBackOff", seconds=120)
        assert "unrecognized arguments" in message, message  # its own last words
        assert "--previous" in message


def test_an_agent_for_which_no_node_has_room(scene: Scene) -> None:
    def ask_for(resources: object) -> None:
        patch(scene, "mtarget", "nodes", {"spec": {"agent": {"resources": resources}}})

    with broken(scene, lambda: ask_for(None)):
        ask_for({"requests": {"cpu": "1k"}})
        message = somewhere(scene, "Unschedulable")
        assert "Insufficient cpu" in message
        assert "lower spec.agent.resources" in message


def test_a_taint_that_agents_do_not_tolerate(scene: Scene) -> None:
    def mend() -> None:
        scene.kubectl.run("taint", "node", "n2", "broken-")
        scene.kubectl.apply(target())

    with broken(scene, mend):
        scene.kubectl.run("taint", "node", "n2", "broken=yes:NoSchedule")
        patch(scene, "mtarget", "nodes", {"spec": {"agent": {"tolerations": []}}})
        until("the agents to take it", lambda: tolerations(scene) == [], seconds=30)
        if "n2" in agents(scene):
            delete_agent(scene, "n2")
        assert "taint broken=yes:NoSchedule" in uncovered(scene, "n2", "TaintNotTolerated")


def tolerations(scene: Scene) -> list[Object]:
    spec = scene.kubectl.get("daemonset", SERVICE, *PLACE)["spec"]["template"]["spec"]
    return list(spec.get("tolerations", []))


def test_pod_security_that_refuses_agents(scene: Scene) -> None:
    def enforce(level: str) -> None:
        label = f"pod-security.kubernetes.io/enforce={level}"
        scene.kubectl.run("label", "--overwrite", "namespace", NAMESPACE, label)

    def mend() -> None:
        enforce("privileged")
        scene.kubectl.run("rollout", "restart", "daemonset", SERVICE, *PLACE)  # as the message says

    with broken(scene, mend):
        enforce("restricted")
        delete_agent(scene, "n1")
        message = uncovered(scene, "n1", "PodSecurity")
        assert "pod-security.kubernetes.io/enforce=privileged" in message
