"""Instances that are not one Prometheus in one pod: shards, a PrometheusAgent, a ThanosRuler."""

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
def monitoring_works(demo: DemoCluster) -> None:
    """Wait until the monitoring works."""
    until("the monitoring to work", lambda: monitored(demo), seconds=CLEARED_SECONDS, why=lambda: str(demo.target()))


def holds(demo: DemoCluster, kind: str, *words: str) -> bool:
    """Return whether the condition is True and its message contains all these words."""
    found = condition(demo, kind)
    return found["status"] == "True" and all(word in found["message"] for word in words)


def wait_holds(demo: DemoCluster, kind: str, *words: str) -> None:
    why = lambda: str(condition(demo, kind))  # noqa: E731 (it is two words)
    until(f"{kind}: {words}", lambda: holds(demo, kind, *words), seconds=CLEARED_SECONDS, why=why)


def shards(demo: DemoCluster) -> list[Object]:
    """Return the ready pods of the Prometheus, those of the first shard first."""
    found = [
        pod
        for pod in pods(demo, "prometheus=demo")
        if ("Ready", "True") in {(one["type"], one["status"]) for one in pod["status"].get("conditions", [])}
    ]
    return sorted(found, key=lambda pod: "shard" in pod["metadata"]["name"])


def up_in(demo: DemoCluster, pod: Object) -> set[str]:
    """Return the nodes that this pod scrapes."""
    query = quote(f'up{{service="{SERVICE}"}} == 1')
    proxy = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod['metadata']['name']}:9090/proxy"
    query_result = json.loads(demo.kubectl.run("get", "--raw", f"{proxy}/api/v1/query?query={query}"))
    return {one["metric"]["node"] for one in query_result["data"]["result"]}


def one_node_each(demo: DemoCluster) -> list[Object] | None:
    """Return the two shards once each scrapes one node; the agents' addresses decide which shard scrapes which."""

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


def test_every_shard_is_queried(demo: DemoCluster, cluster: NodeCluster) -> None:
    def repair() -> None:
        patch(demo, "prometheus", "demo", {"spec": {"shards": 1}})
        until("one shard", lambda: len(pods(demo, "prometheus=demo")) == 1, seconds=CLEARED_SECONDS)
        reload_now(demo.kubectl)

    with broken(demo, repair):
        patch(demo, "prometheus", "demo", {"spec": {"shards": 2}})
        both = until("each shard to have a node", lambda: one_node_each(demo), seconds=600)
        wait_holds(demo, "Scraped", f"2/2 nodes are up in {DEMO}")
        wait_holds(demo, "RulesLoaded", f"{DEMO} has loaded the")
        assert demo.target()["status"]["nodes"]["scraped"] == 2

        # If one shard cannot be queried, it is unknown whether its nodes are scraped.
        leader = demo.kubectl.get("lease", "metricat", *PLACE)["spec"]["holderIdentity"]
        operator = demo.kubectl.get("pod", leader, *PLACE)["status"]["podIP"]
        second = both[1]
        between = f"ip saddr {operator} ip daddr {second['status']['podIP']}"
        node = cluster.node(second["spec"]["nodeName"])
        with dropped(demo, node, between):
            named(demo, "Scraped", "Timeout", second["status"]["podIP"])
            assert condition(demo, "Scraped")["status"] == "Unknown"


@contextmanager
def second_instance(demo: DemoCluster, kind: str, version: str, spec: Object) -> Iterator[None]:
    """Create one more instance, named `second`, and delete it after the context."""
    resource = f"{kind.lower()}.monitoring.coreos.com"
    metadata = {"name": "second", "namespace": NAMESPACE}
    made = {"apiVersion": f"monitoring.coreos.com/{version}", "kind": kind, "metadata": metadata, "spec": spec}
    with broken(demo, lambda: demo.kubectl.run("delete", resource, "second", *PLACE)):
        demo.kubectl.apply(json.dumps(made))
        yield


@contextmanager
def selecting_nothing(demo: DemoCluster, field: str) -> Iterator[None]:
    """Let this selector of the Prometheus select nothing within the context."""

    def select(labels: Object) -> None:
        patch(demo, "prometheus", "demo", {"spec": {field: {"matchLabels": labels}}})

    with broken(demo, lambda: select({"no": None, "release": "demo"})):
        select({"no": "such", "release": None})
        yield


def test_prometheus_agent_is_queried_for_its_targets(demo: DemoCluster) -> None:
    """A PrometheusAgent keeps no samples and has no rules. It reports only whether its last scrapes succeeded."""
    [server] = [one for one in yaml.safe_load_all(manifest("prometheus.yaml")) if one["kind"] == "Prometheus"]
    same = ("image", "version", "imagePullPolicy", "serviceAccountName", "securityContext", "scrapeInterval")
    chosen = ("serviceDiscoveryRole", "serviceMonitorSelector", "serviceMonitorNamespaceSelector", "resources")
    spec = {key: server["spec"][key] for key in (*same, *chosen)}
    mine = f"PrometheusAgent {NAMESPACE}/second"
    with second_instance(demo, "PrometheusAgent", "v1alpha1", spec):
        wait_holds(demo, "Selected", f"{DEMO}, {mine} select the ServiceMonitor")
        wait_holds(demo, "Scraped", f"2/2 nodes are up in {DEMO}", f"2/2 nodes are up in {mine}")
        with selecting_nothing(demo, "serviceMonitorSelector"):
            wait_holds(demo, "Selected", f"{mine} selects the ServiceMonitor; {DEMO} selects the PrometheusRule")
            until("the agent alone", lambda: condition(demo, "Scraped")["message"] == f"2/2 nodes are up in {mine}")
            assert demo.target()["status"]["nodes"]["scraped"] == 2
            delete_agent(demo, "n2")  # it also reports targets that it cannot reach
            until("n2 to come back", lambda: agents(demo).keys() == NODES and demo.ready())
            wait_holds(demo, "Scraped", f"2/2 nodes are up in {mine}")


def test_thanos_ruler_selects_rules(demo: DemoCluster) -> None:
    """The ThanosRuler has no pod: the cluster lacks its image. The Prometheus Operator writes rule files anyway."""
    spec = {"replicas": 0, "queryEndpoints": ["http://none"], "ruleSelector": {"matchLabels": {"release": "demo"}}}
    mine = f"ThanosRuler {NAMESPACE}/second"

    def given() -> bool:
        found = demo.kubectl.items("configmaps", *PLACE, "--selector=thanos-ruler-name=second")
        return any(key.startswith(f"{NAMESPACE}-{SERVICE}-") for one in found for key in one.get("data", {}))

    with second_instance(demo, "ThanosRuler", "v1", spec):
        wait_holds(demo, "Selected", f"{DEMO} selects the ServiceMonitor; {DEMO}, {mine} select the PrometheusRule")
        until("the Prometheus Operator to give it the rules", given, seconds=60)
        wait_holds(demo, "RulesLoaded", f"{DEMO} has loaded the")  # one working instance is enough
        with selecting_nothing(demo, "ruleSelector"):
            wait_holds(demo, "Selected", f"{DEMO} selects the ServiceMonitor; {mine} selects the PrometheusRule")
            named(demo, "RulesLoaded", "NoPods", f"{mine}: It has no pod")
        group = {"name": "own", "rules": [{"record": "own:rule", "expr": "sum("}]}
        with broken(demo, lambda: patch(demo, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": None}}})):
            patch(demo, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": [group]}}})
            named(demo, "RulesLoaded", "RuleRejected", f"for {DEMO}: ", f"for {mine}: ")
