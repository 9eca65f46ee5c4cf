"""Takers of our objects that are not one Prometheus in one pod: shards, a PrometheusAgent, a ThanosRuler."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
import yaml

from metricat_tools.cluster import NodeCluster
from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.install import manifest, reload_now
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
def whole(demo: DemoCluster) -> None:
    """Every link is whole before another taker comes."""
    until("the monitoring to work", lambda: monitored(demo), seconds=CLEARED_SECONDS, why=lambda: str(demo.target()))


def says(demo: DemoCluster, kind: str, *words: str) -> bool:
    """Whether the condition is true and its message holds all these words."""
    found = condition(demo, kind)
    return found["status"] == "True" and all(word in found["message"] for word in words)


def wait_says(demo: DemoCluster, kind: str, *words: str) -> None:
    why = lambda: str(condition(demo, kind))  # noqa: E731 (it is two words)
    until(f"{kind}: {words}", lambda: says(demo, kind, *words), seconds=CLEARED_SECONDS, why=why)


def shards(demo: DemoCluster) -> list[Object]:
    """The ready pods of the Prometheus, the first shard's first."""
    found = [
        pod
        for pod in pods(demo, "prometheus=demo")
        if ("Ready", "True") in {(one["type"], one["status"]) for one in pod["status"].get("conditions", [])}
    ]
    return sorted(found, key=lambda pod: "shard" in pod["metadata"]["name"])


def up_in(demo: DemoCluster, pod: Object) -> set[str]:
    """The nodes that this pod alone scrapes."""
    query = quote(f'up{{service="{SERVICE}"}} == 1')
    proxy = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:9090/proxy"
    query_result = json.loads(demo.kubectl.run("get", "--raw", f"{proxy}/api/v1/query?query={query}"))
    return {one["metric"]["node"] for one in query_result["data"]["result"]}


def divided(demo: DemoCluster) -> list[Object] | None:
    """The two shards, once each has one of the nodes. By which one is a matter of the agents' addresses."""

    def settled() -> list[set[str]] | None:
        reload_now(demo.kubectl)
        parts = [up_in(demo, pod) for pod in shards(demo)]
        return parts if len(parts) == 2 and sum(map(len, parts)) == 2 and set.union(*parts) == NODES else None

    parts = until("two shards with two nodes", settled, seconds=CLEARED_SECONDS)
    if all(parts):
        return shards(demo)
    delete_agent(demo, "n2")
    until("another agent on n2", lambda: agents(demo).keys() == NODES and demo.ready())
    return None


def test_shards_divide_the_nodes_and_all_of_them_are_asked(demo: DemoCluster, cluster: NodeCluster) -> None:
    def mend() -> None:
        patch(demo, "prometheus", "demo", {"spec": {"shards": 1}})
        until("one shard", lambda: len(pods(demo, "prometheus=demo")) == 1, seconds=CLEARED_SECONDS)
        reload_now(demo.kubectl)

    with broken(demo, mend):
        patch(demo, "prometheus", "demo", {"spec": {"shards": 2}})
        both = until("each shard to have a node", lambda: divided(demo), seconds=600)
        wait_says(demo, "Scraped", f"2/2 nodes are up in {DEMO}")
        wait_says(demo, "RulesLoaded", f"{DEMO} has loaded the")
        assert demo.target()["status"]["nodes"]["scraped"] == 2

        # One that cannot be asked leaves open whether its nodes are scraped.
        leader = demo.kubectl.get("lease", "metricat", *PLACE)["spec"]["holderIdentity"]
        operator = demo.kubectl.get("pod", leader, *PLACE)["status"]["podIP"]
        second = both[1]
        between = f"ip saddr {operator} ip daddr {second['status']['podIP']}"
        node = cluster.node(second["spec"]["nodeName"])
        with dropped(demo, node, between):
            named(demo, "Scraped", "Timeout", second["status"]["podIP"])
            assert condition(demo, "Scraped")["status"] == "Unknown"


@contextmanager
def another(demo: DemoCluster, kind: str, version: str, spec: Object) -> Iterator[None]:
    """One more taker, named `beside`, for as long as the context lasts."""
    resource = f"{kind.lower()}.monitoring.coreos.com"
    metadata = {"name": "beside", "namespace": NAMESPACE}
    made = {"apiVersion": f"monitoring.coreos.com/{version}", "kind": kind, "metadata": metadata, "spec": spec}
    with broken(demo, lambda: demo.kubectl.run("delete", resource, "beside", *PLACE)):
        demo.kubectl.apply(json.dumps(made))
        yield


@contextmanager
def deaf(demo: DemoCluster, field: str) -> Iterator[None]:
    """The Prometheus takes nothing by this selector."""

    def by(labels: Object) -> None:
        patch(demo, "prometheus", "demo", {"spec": {field: {"matchLabels": labels}}})

    with broken(demo, lambda: by({"no": None, "release": "demo"})):
        by({"no": "such", "release": None})
        yield


def test_a_prometheus_agent_is_asked_for_its_targets(demo: DemoCluster) -> None:
    """It keeps no samples and has no rules: what it tells is whether its last scrapes went well."""
    [server] = [one for one in yaml.safe_load_all(manifest("prometheus.yaml")) if one["kind"] == "Prometheus"]
    same = ("image", "version", "imagePullPolicy", "serviceAccountName", "securityContext", "scrapeInterval")
    chosen = ("serviceDiscoveryRole", "serviceMonitorSelector", "serviceMonitorNamespaceSelector", "resources")
    spec = {key: server["spec"][key] for key in (*same, *chosen)}
    mine = f"PrometheusAgent {NAMESPACE}/beside"
    with another(demo, "PrometheusAgent", "v1alpha1", spec):
        wait_says(demo, "Selected", f"{DEMO}, {mine} select the ServiceMonitor")
        wait_says(demo, "Scraped", f"2/2 nodes are up in {DEMO}", f"2/2 nodes are up in {mine}")
        with deaf(demo, "serviceMonitorSelector"):
            wait_says(demo, "Selected", f"{mine} selects the ServiceMonitor; {DEMO} selects the PrometheusRule")
            until("the agent alone", lambda: condition(demo, "Scraped")["message"] == f"2/2 nodes are up in {mine}")
            assert demo.target()["status"]["nodes"]["scraped"] == 2
            delete_agent(demo, "n2")  # what it does not reach, it names, too
            until("n2 to come back", lambda: agents(demo).keys() == NODES and demo.ready())
            wait_says(demo, "Scraped", f"2/2 nodes are up in {mine}")


def test_a_thanos_ruler_takes_rules(demo: DemoCluster) -> None:
    """Without a pod: there is no image of it here. What it is given is all the same the Prometheus Operator's doing."""
    spec = {"replicas": 0, "queryEndpoints": ["http://nobody"], "ruleSelector": {"matchLabels": {"release": "demo"}}}
    mine = f"ThanosRuler {NAMESPACE}/beside"

    def given() -> bool:
        found = demo.kubectl.items("configmaps", *PLACE, "--selector=thanos-ruler-name=beside")
        return any(key.startswith(f"{NAMESPACE}-{SERVICE}-") for one in found for key in one.get("data", {}))

    with another(demo, "ThanosRuler", "v1", spec):
        wait_says(demo, "Selected", f"{DEMO} selects the ServiceMonitor; {DEMO}, {mine} select the PrometheusRule")
        until("the Prometheus Operator to give it the rules", given, seconds=60)
        wait_says(demo, "RulesLoaded", f"{DEMO} has loaded the")  # one that works is enough
        with deaf(demo, "ruleSelector"):
            wait_says(demo, "Selected", f"{DEMO} selects the ServiceMonitor; {mine} selects the PrometheusRule")
            named(demo, "RulesLoaded", "NoPods", f"{mine}: It has no pod")
        group = {"name": "own", "rules": [{"record": "own:rule", "expr": "sum("}]}
        with broken(demo, lambda: patch(demo, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": None}}})):
            patch(demo, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": [group]}}})
            named(demo, "RulesLoaded", "RuleRejected", f"for {DEMO}: ", f"for {mine}: ")
