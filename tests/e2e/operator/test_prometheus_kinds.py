"""Takers of our objects that are not one Prometheus in one pod: shards, a PrometheusAgent, a ThanosRuler."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
import yaml

from metricat_tools.cluster import NodeCluster
from metricat_tools.demo.scene import SERVICE, Scene
from metricat_tools.stack.ask import NAMESPACE
from metricat_tools.stack.install import hurry, manifest
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.wait import until
from support.pipeline import (
    CLEARED_SECONDS,
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
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
DEMO = f"Prometheus {NAMESPACE}/demo"
NODES = {"n1", "n2"}


@pytest.fixture(autouse=True)
def whole(scene: Scene) -> None:
    """Every link is whole before another taker comes."""
    until("the monitoring to work", lambda: monitored(scene), seconds=CLEARED_SECONDS, why=lambda: str(scene.target()))


def says(scene: Scene, kind: str, *words: str) -> bool:
    """Whether the condition is true and its message holds all these words."""
    found = condition(scene, kind)
    return found["status"] == "True" and all(word in found["message"] for word in words)


def wait_says(scene: Scene, kind: str, *words: str) -> None:
    why = lambda: str(condition(scene, kind))  # noqa: E731 (it is two words)
    until(f"{kind}: {words}", lambda: says(scene, kind, *words), seconds=CLEARED_SECONDS, why=why)


def shards(scene: Scene) -> list[Object]:
    """The ready pods of the Prometheus, the first shard's first."""
    found = [
        pod
        for pod in pods(scene, "prometheus=demo")
        if ("Ready", "True") in {(one["type"], one["status"]) for one in pod["status"].get("conditions", [])}
    ]
    return sorted(found, key=lambda pod: "shard" in pod["metadata"]["name"])


def up_in(scene: Scene, pod: Object) -> set[str]:
    """The nodes that this pod alone scrapes."""
    query = quote(f'up{{service="{SERVICE}"}} == 1')
    proxy = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:9090/proxy"
    query_result = json.loads(scene.kubectl.run("get", "--raw", f"{proxy}/api/v1/query?query={query}"))
    return {one["metric"]["node"] for one in query_result["data"]["result"]}


def divided(scene: Scene) -> list[Object] | None:
    """The two shards, once each has one of the nodes. By which one is a matter of the agents' addresses."""

    def settled() -> list[set[str]] | None:
        hurry(scene.kubectl)
        parts = [up_in(scene, pod) for pod in shards(scene)]
        return parts if len(parts) == 2 and sum(map(len, parts)) == 2 and set.union(*parts) == NODES else None

    parts = until("two shards with two nodes", settled, seconds=CLEARED_SECONDS)
    if all(parts):
        return shards(scene)
    delete_agent(scene, "n2")
    until("another agent on n2", lambda: agents(scene).keys() == NODES and scene.ready())
    return None


def test_shards_divide_the_nodes_and_all_of_them_are_asked(scene: Scene, cluster: NodeCluster) -> None:
    def mend() -> None:
        patch(scene, "prometheus", "demo", {"spec": {"shards": 1}})
        until("one shard", lambda: len(pods(scene, "prometheus=demo")) == 1, seconds=CLEARED_SECONDS)
        hurry(scene.kubectl)

    with broken(scene, mend):
        patch(scene, "prometheus", "demo", {"spec": {"shards": 2}})
        both = until("each shard to have a node", lambda: divided(scene), seconds=600)
        wait_says(scene, "Scraped", f"2/2 nodes are up in {DEMO}")
        wait_says(scene, "RulesLoaded", f"{DEMO} has the")
        assert scene.target()["status"]["nodes"]["scraped"] == 2

        # One that cannot be asked leaves open whether its nodes are scraped.
        leader = scene.kubectl.get("lease", "metricat", *PLACE)["spec"]["holderIdentity"]
        operator = scene.kubectl.get("pod", leader, *PLACE)["status"]["podIP"]
        second = both[1]
        between = f"ip saddr {operator} ip daddr {second['status']['podIP']}"
        node = cluster.node(second["spec"]["nodeName"])
        with dropped(scene, node, between):
            named(scene, "Scraped", "Timeout", second["status"]["podIP"])
            assert condition(scene, "Scraped")["status"] == "Unknown"


@contextmanager
def another(scene: Scene, kind: str, version: str, spec: Object) -> Iterator[None]:
    """One more taker, named `beside`, for as long as the context lasts."""
    resource = f"{kind.lower()}.monitoring.coreos.com"
    metadata = {"name": "beside", "namespace": NAMESPACE}
    made = {"apiVersion": f"monitoring.coreos.com/{version}", "kind": kind, "metadata": metadata, "spec": spec}
    with broken(scene, lambda: scene.kubectl.run("delete", resource, "beside", *PLACE)):
        scene.kubectl.apply(json.dumps(made))
        yield


@contextmanager
def deaf(scene: Scene, field: str) -> Iterator[None]:
    """The Prometheus takes nothing by this selector."""

    def by(labels: Object) -> None:
        patch(scene, "prometheus", "demo", {"spec": {field: {"matchLabels": labels}}})

    with broken(scene, lambda: by({"no": None, "release": "demo"})):
        by({"no": "such", "release": None})
        yield


def test_a_prometheus_agent_is_asked_for_its_targets(scene: Scene) -> None:
    """It keeps no samples and has no rules: what it tells is whether its last scrapes went well."""
    [server] = [one for one in yaml.safe_load_all(manifest("prometheus.yaml")) if one["kind"] == "Prometheus"]
    same = ("image", "version", "imagePullPolicy", "serviceAccountName", "securityContext", "scrapeInterval")
    chosen = ("serviceDiscoveryRole", "serviceMonitorSelector", "serviceMonitorNamespaceSelector", "resources")
    spec = {key: server["spec"][key] for key in (*same, *chosen)}
    mine = f"PrometheusAgent {NAMESPACE}/beside"
    with another(scene, "PrometheusAgent", "v1alpha1", spec):
        wait_says(scene, "Discovered", f"{DEMO}, {mine} select the ServiceMonitor")
        wait_says(scene, "Scraped", f"2/2 nodes are up in {DEMO}", f"2/2 nodes are up in {mine}")
        with deaf(scene, "serviceMonitorSelector"):
            wait_says(scene, "Discovered", f"{mine} selects the ServiceMonitor; {DEMO} selects the PrometheusRule")
            until("the agent alone", lambda: condition(scene, "Scraped")["message"] == f"2/2 nodes are up in {mine}")
            assert scene.target()["status"]["nodes"]["scraped"] == 2
            delete_agent(scene, "n2")  # what it does not reach, it names, too
            until("n2 to come back", lambda: agents(scene).keys() == NODES and scene.ready())
            wait_says(scene, "Scraped", f"2/2 nodes are up in {mine}")


def test_a_thanos_ruler_takes_rules(scene: Scene) -> None:
    """Without a pod: there is no image of it here. What it is given is all the same the Prometheus Operator's doing."""
    spec = {"replicas": 0, "queryEndpoints": ["http://nobody"], "ruleSelector": {"matchLabels": {"release": "demo"}}}
    mine = f"ThanosRuler {NAMESPACE}/beside"

    def given() -> bool:
        found = scene.kubectl.items("configmaps", *PLACE, "--selector=thanos-ruler-name=beside")
        return any(key.startswith(f"{NAMESPACE}-{SERVICE}-") for one in found for key in one.get("data", {}))

    with another(scene, "ThanosRuler", "v1", spec):
        wait_says(scene, "Discovered", f"{DEMO} selects the ServiceMonitor; {DEMO}, {mine} select the PrometheusRule")
        until("the Prometheus Operator to give it the rules", given, seconds=60)
        wait_says(scene, "RulesLoaded", f"{DEMO} has the")  # one that works is enough
        with deaf(scene, "ruleSelector"):
            wait_says(scene, "Discovered", f"{DEMO} selects the ServiceMonitor; {mine} selects the PrometheusRule")
            named(scene, "RulesLoaded", "NoPods", f"{mine}: it has no pod")
        group = {"name": "own", "rules": [{"record": "own:rule", "expr": "sum("}]}
        with broken(scene, lambda: patch(scene, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": None}}})):
            patch(scene, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": [group]}}})
            named(scene, "RulesLoaded", "RuleRejected", f"out of {DEMO}: ", f"out of {mine}: ")
