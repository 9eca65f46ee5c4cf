"""Each part of the pipeline from agents to alerts is broken in turn: the status reports it until the repair."""

import shlex
from collections.abc import Callable

import pytest

from metricat_tools.cluster import NodeCluster
from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster, target
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.install import manifest, reload_now
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


def uncovered_anywhere(demo: DemoCluster, reason: str, seconds: float = NAMED_SECONDS) -> str:
    """Wait until any node is uncovered for this reason, and return the message."""

    def message() -> str | None:
        found: dict[str, str] = {one["reason"]: one["message"] for one in demo.target()["status"]["uncovered"]}
        return found.get(reason)

    return until(reason, message, seconds=seconds, why=lambda: str(demo.target()["status"]["uncovered"]))


def use_image(demo: DemoCluster, image: str) -> None:
    """Set the agents' image in the operator."""
    demo.kubectl.run("set", "env", "deployment/metricat", *PLACE, f"METRICAT_AGENT_IMAGE={image}")


@pytest.fixture(autouse=True)
def monitoring_works(demo: DemoCluster) -> None:
    """Wait until the monitoring works."""
    until("the monitoring to work", lambda: monitored(demo), seconds=CLEARED_SECONDS, why=lambda: str(demo.target()))


def restore_target(demo: DemoCluster) -> Callable[[], None]:
    return lambda: demo.kubectl.apply(target())


def add_extra_rule(demo: DemoCluster, expr: str) -> None:
    group = {"name": "own", "rules": [{"record": "own:rule", "expr": expr}]}
    patch(demo, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": [group]}}})


def remove_extra_rule(demo: DemoCluster) -> None:
    patch(demo, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": None}}})


def test_unselected_monitor_is_reported(demo: DemoCluster) -> None:
    with broken(demo, restore_target(demo)):
        patch(demo, "mtarget", "nodes", {"spec": {"monitor": {"labels": {"release": None}}}})
        message = named(demo, "Selected", "LabelMissing", "it requires release=demo")
        named(demo, "Monitored", "LabelMissing")
        _, *words = shlex.split(message.rpartition("run: ")[2])
        demo.kubectl.run(*words)
        until("the printed command to take effect", lambda: condition(demo, "Selected")["status"] == "True", seconds=60)


def test_prometheus_without_permission_to_discover_is_reported(demo: DemoCluster) -> None:
    with broken(demo, lambda: demo.kubectl.apply(manifest("prometheus.yaml"))):
        demo.kubectl.run("delete", "clusterrolebinding", "prometheus-demo")
        demo.kubectl.run("delete", "pod", "prometheus-demo-0", *PLACE)  # a running pod keeps its targets
        message = named(demo, "Scraped", "NoTargets", "Check that it may list")
        _, *words = shlex.split(message.rpartition(": ")[2])
        with pytest.raises(KubectlError, match=r"can-i.*failed: no$"):
            demo.kubectl.run(*words)


def test_rejected_rule_is_reported(demo: DemoCluster) -> None:
    with broken(demo, lambda: remove_extra_rule(demo)):
        add_extra_rule(demo, "sum(")
        named(demo, "RulesLoaded", "RuleRejected", f"extra-{SERVICE}", "spec.alerts.extraGroups[0].rules[0].expr")


def test_failing_rule_is_reported(demo: DemoCluster) -> None:
    with broken(demo, lambda: remove_extra_rule(demo)):
        add_extra_rule(demo, "up * on (job) group_left () up")
        until("the Prometheus Operator to write the rule file", lambda: in_rule_files(demo), seconds=30)
        reload_now(demo.kubectl)
        named(demo, "RulesLoaded", "RuleEvaluationFailed", "own:rule in group own", "many-to-many matching not allowed")
    reload_now(demo.kubectl)


def in_rule_files(demo: DemoCluster) -> bool:
    maps = demo.kubectl.items("configmaps", *PLACE, "--selector=managed-by=prometheus-operator")
    return any("own:rule" in text for one in maps for text in one.get("data", {}).values())


def test_agent_that_prometheus_cannot_reach_is_reported(demo: DemoCluster, cluster: NodeCluster) -> None:
    [prometheus] = pods(demo, "prometheus=demo")
    name = next(name for name in demo.nodes() if name != prometheus["spec"]["nodeName"])
    node = cluster.node(name)
    address = agents(demo)[name]["status"]["podIP"]
    with dropped(demo, node, f"ip daddr {address}"):
        named(demo, "Scraped", "TargetsDown", f"1/2 nodes are up in Prometheus {NAMESPACE}/demo; {name}: Get")
        assert condition(demo, "AgentsReady")["status"] == "True"


def test_prometheus_that_the_operator_cannot_reach_is_reported(demo: DemoCluster, cluster: NodeCluster) -> None:
    [prometheus] = pods(demo, "prometheus=demo")
    leader = demo.kubectl.get("lease", "metricat", *PLACE)["spec"]["holderIdentity"]
    operator = demo.kubectl.get("pod", leader, *PLACE)
    node = cluster.node(prometheus["spec"]["nodeName"])
    between = f"ip saddr {operator['status']['podIP']} ip daddr {prometheus['status']['podIP']}"
    with dropped(demo, node, between):
        message = named(demo, "Scraped", "Timeout", "If a NetworkPolicy blocks Metricat, allow it: ")
        assert condition(demo, "Monitored")["status"] == "Unknown"
        policy = shlex.split(message.rpartition("allow it: ")[2])[1]
        demo.kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=policy)


def test_prometheus_without_pods_is_reported(demo: DemoCluster) -> None:
    with broken(demo, lambda: patch(demo, "prometheus", "demo", {"spec": {"replicas": 1}})):
        patch(demo, "prometheus", "demo", {"spec": {"replicas": 0}})
        named(demo, "Scraped", "NoPods", "It has no pod")
        named(demo, "RulesLoaded", "NoPods")


def test_image_that_cannot_be_pulled_is_reported(demo: DemoCluster) -> None:
    def reported() -> bool:
        reasons = {one["reason"] for one in demo.target()["status"]["uncovered"]}
        return bool(reasons & {"ErrImagePull", "ImagePullBackOff"})

    with broken(demo, lambda: use_image(demo, demo.images["agent"])):
        use_image(demo, "localhost/metricat/agent:no-such")
        until("the image to be reported", reported, seconds=NAMED_SECONDS, why=lambda: str(demo.target()["status"]))
        until(
            "the node to be missing in Scraped",
            lambda: "no ready agent: " in condition(demo, "Scraped")["message"],
            seconds=90,
        )
        named(demo, "Ready", "NodesUncovered")


def test_agent_that_exits_is_reported(demo: DemoCluster) -> None:
    """Use the operator's image as the agent's image: it rejects the agent's flags."""
    with broken(demo, lambda: use_image(demo, demo.images["agent"])):
        use_image(demo, demo.images["operator"])
        message = uncovered_anywhere(demo, "CrashLoopBackOff", seconds=120)
        assert "unrecognized arguments" in message, message  # the agent's last output
        assert "--previous" in message


def test_agent_without_room_on_the_nodes_is_reported(demo: DemoCluster) -> None:
    def set_resources(resources: object) -> None:
        patch(demo, "mtarget", "nodes", {"spec": {"agent": {"resources": resources}}})

    with broken(demo, lambda: set_resources(None)):
        set_resources({"requests": {"cpu": "1k"}})
        message = uncovered_anywhere(demo, "Unschedulable")
        assert "Insufficient cpu" in message
        assert "lower spec.agent.resources" in message


def test_taint_that_agents_do_not_tolerate_is_reported(demo: DemoCluster) -> None:
    def repair() -> None:
        demo.kubectl.run("taint", "node", "n2", "broken-")
        demo.kubectl.apply(target())

    with broken(demo, repair):
        demo.kubectl.run("taint", "node", "n2", "broken=yes:NoSchedule")
        patch(demo, "mtarget", "nodes", {"spec": {"agent": {"tolerations": []}}})
        until("the DaemonSet to lose its tolerations", lambda: tolerations(demo) == [], seconds=30)
        if "n2" in agents(demo):
            delete_agent(demo, "n2")
        assert "taint broken=yes:NoSchedule" in uncovered(demo, "n2", "TaintNotTolerated")


def tolerations(demo: DemoCluster) -> list[Object]:
    spec = demo.kubectl.get("daemonset", SERVICE, *PLACE)["spec"]["template"]["spec"]
    return list(spec.get("tolerations", []))


def test_pod_security_that_rejects_agents_is_reported(demo: DemoCluster) -> None:
    def enforce(level: str) -> None:
        label = f"pod-security.kubernetes.io/enforce={level}"
        demo.kubectl.run("label", "--overwrite", "namespace", NAMESPACE, label)

    def repair() -> None:
        enforce("privileged")
        demo.kubectl.run("rollout", "restart", "daemonset", SERVICE, *PLACE)  # as in the message

    with broken(demo, repair):
        enforce("restricted")
        delete_agent(demo, "n1")
        message = uncovered(demo, "n1", "PodSecurity")
        assert "pod-security.kubernetes.io/enforce=privileged" in message
