"""The status follows the responses of a Prometheus; here a fake one at the address of a pod."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from metricat_rules.durations import prometheus_seconds
from support.harness import CHILD, Cluster, Manifest, eventually, served, target, wait_ready

pytestmark = [pytest.mark.usefixtures("operator"), pytest.mark.slow]


class Responses(BaseHTTPRequestHandler):
    """The HTTP API of Prometheus with its response format."""

    nodes: ClassVar[dict[str, str]] = {}
    groups: ClassVar[list[dict[str, Any]]] = []
    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.requests.append(self.path)
        wanted = parse_qs(urlsplit(self.path).query).get("rule_group[]", [])
        query_results: dict[str, Any] = {
            "query": {"result": [{"metric": {"node": node}, "value": [1, up]} for node, up in self.nodes.items()]},
            "targets": {
                "activeTargets": [
                    {"labels": {"node": node}, "health": "down", "lastError": "no route to host"}
                    for node, up in self.nodes.items()
                    if up == "0"
                ]
            },
            "rules": {"groups": [group for group in self.groups if group["name"] in wanted]},
            "scrape_pools": {"scrapePools": []},
            "runtimeinfo": {"reloadConfigSuccess": True},
        }
        body = json.dumps(
            {"status": "success", "data": query_results[urlsplit(self.path).path.rpartition("/")[2]]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def prometheus_kind(cluster: Cluster) -> Iterator[None]:
    with served(cluster, "prometheuses"):
        yield


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Responses) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def pod(namespace: str, port: int) -> Manifest:
    """Return a pod like those of the Prometheus Operator; no scheduler binds it."""
    labels = {
        "app.kubernetes.io/managed-by": "prometheus-operator",
        "app.kubernetes.io/name": "prometheus",
        "app.kubernetes.io/instance": "k8s",
    }
    container = {"name": "prometheus", "image": "p", "ports": [{"name": "web", "containerPort": port}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "prometheus-k8s-0", "namespace": namespace, "labels": labels},
        "spec": {"schedulerName": "none", "containers": [container]},
    }


def loaded(rule: Manifest) -> list[dict[str, Any]]:
    """Return the groups of a PrometheusRule as Prometheus reports them."""
    file = f"/etc/prometheus/rules/0/{rule['metadata']['name']}-{rule['metadata']['uid']}.yaml"
    return [
        {
            "name": group["name"],
            "file": file,
            "rules": [
                {
                    "name": one.get("alert") or one["record"],
                    "health": "ok",
                    "duration": prometheus_seconds(one.get("for", "0s")),
                    "annotations": one.get("annotations", {}),
                }
                for one in group["rules"]
            ],
        }
        for group in rule["spec"]["groups"]
    ]


def event(rule: Manifest) -> Manifest:
    """Return the event of a rejected rule, as the Prometheus Operator writes it."""
    metadata = rule["metadata"]
    about = {
        "kind": "PrometheusRule",
        **{key: metadata[key] for key in ("namespace", "name", "uid", "resourceVersion")},
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "rejected", "namespace": metadata["namespace"]},
        "involvedObject": about,
        "related": {"kind": "Prometheus", "namespace": metadata["namespace"], "name": "k8s"},
        "reason": "InvalidConfiguration",
        "message": "invalid rule",
        "type": "Warning",
    }


@pytest.mark.usefixtures("prometheus_kind")
def test_status_follows_the_responses_of_prometheus(cluster: Cluster, namespace: str, port: int) -> None:
    def condition(kind: str) -> tuple[str, str]:
        found = cluster.condition(namespace, "nodes", kind)
        return found.get("status", ""), found.get("reason", "")

    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    rule = cluster.get("prometheusrule", CHILD, namespace)
    assert rule is not None
    names = [node["metadata"]["name"] for node in json.loads(cluster.do("get", "nodes", "-o", "json"))["items"]]
    Responses.nodes, Responses.groups = dict.fromkeys(names, "1"), loaded(rule)

    every: dict[str, object] = {"serviceMonitorSelector": {}, "ruleSelector": {}}
    metadata = {"name": "k8s", "namespace": namespace}
    prometheus = {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": metadata, "spec": every}
    cluster.apply(prometheus)
    eventually(lambda: condition("Scraped") == ("Unknown", "NoPods"))
    cluster.apply(pod(namespace, port))
    eventually(lambda: condition("Scraped") == ("Unknown", "NotReady"))
    ready = {"status": {"podIP": "127.0.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps(ready))
    cluster.do("patch", "pod", "prometheus-k8s-0", "-n", namespace, *patch)
    eventually(lambda: condition("Monitored") == ("True", "Monitored"))
    columns = cluster.do("get", "mtarget", "nodes", "-n", namespace).splitlines()
    assert columns[0].split() == ["NAME", "NODES", "READY", "UNCOVERED", "SCRAPED", "ACCEPTED", "MONITORED", "AGE"]
    assert columns[1].split()[1:7] == [str(len(names)), str(len(names)), "0", str(len(names)), "True", "True"]

    Responses.nodes = {**Responses.nodes, names[0]: "0"}
    eventually(lambda: condition("Scraped") == ("False", "TargetsDown"), seconds=60)
    assert f"{names[0]}: no route to host" in cluster.condition(namespace, "nodes", "Scraped")["message"]
    assert condition("Monitored") == ("False", "TargetsDown")

    # The next query has the same result: nothing is written.
    version = (cluster.get("mtarget", "nodes", namespace) or {})["metadata"]["resourceVersion"]
    count = len(Responses.requests)
    eventually(lambda: len(Responses.requests) > count, seconds=60)
    assert (cluster.get("mtarget", "nodes", namespace) or {})["metadata"]["resourceVersion"] == version

    cluster.apply(event(rule))
    eventually(lambda: condition("RulesLoaded") == ("False", "RuleRejected"))
    cluster.do(
        "annotate", "prometheusrule", CHILD, "-n", namespace, "changed=yes"
    )  # the event is about an earlier version
    eventually(lambda: condition("RulesLoaded") == ("True", "RulesLoaded"))
