"""The hub in the cluster: queries with tokens of ServiceAccounts that see different namespaces."""

from __future__ import annotations

import json
import re
import select
import ssl
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from metricat_tools.binaries import ensure
from metricat_tools.images import ensure_images
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.metricat import CHART, RELEASE, split
from metricat_tools.stack.wait import pod_problems, until
from support.certificates import self_signed
from support.hub_process import Response, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_tools.cluster import NodeCluster
    from metricat_tools.demo.demo_cluster import DemoCluster

pytestmark = pytest.mark.e2e

HUB = f"{RELEASE}-hub"
TEAM = "hub-team"
METRIC = "hub_test_metric"
ACCOUNTS = {"everything": "", "monitoring": NAMESPACE, "team": TEAM, "nothing": None}
"""ServiceAccounts, with the namespace in which each may get MonitoringTargets; empty: all; None: none."""


@dataclass
class Hub:
    """The hub behind a port of this machine."""

    demo: DemoCluster
    url: str
    context: ssl.SSLContext

    def get(self, account: str, path: str, **parameters: Any) -> Response:
        """Send a request with a new token of an account; an empty account sends none."""
        token = self.demo.kubectl.run("create", "token", account, "--namespace", TEAM).strip() if account else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        return send(f"{self.url}{path}{query}", headers=headers, context=self.context)

    def values(self, account: str, query: str) -> dict[str, float]:
        """Return the values of a query by namespace."""
        response = self.get(account, "/api/v1/query", query=query)
        assert response.status == 200, response.body
        found = response.json["data"]["result"]
        return {one["metric"].get("namespace", ""): float(one["value"][1]) for one in found}


@pytest.fixture(scope="module")
def hub(demo_and_nodes: tuple[NodeCluster, DemoCluster], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    cluster, demo = demo_and_nodes
    folder = tmp_path_factory.mktemp("hub")
    image = ensure_images("hub")["hub"]
    cluster.load_image(image.archive)
    self_signed(folder, "tls")
    certificate = ("--namespace", NAMESPACE, f"--cert={folder / 'tls.crt'}", f"--key={folder / 'tls.key'}")
    demo.kubectl.run("create", "secret", "tls", "hub-tls", *certificate)
    create_accounts(demo)
    repository, tag = split(image.exact)
    values = {"enabled": "true", "web.tlsSecretName": "hub-tls", "serviceMonitor.enabled": "true", "replicas": "2"}
    upgrade(
        demo,
        *(f"hub.{key}={value}" for key, value in values.items()),
        "hub.serviceMonitor.labels.release=demo",
        f"image.hub.repository={repository}",
        f"image.hub.tag={tag}",
    )
    try:
        until("the hub", lambda: ready(demo) == 2, why=lambda: pod_problems(demo.kubectl, NAMESPACE))
        with forwarded(demo) as port:
            context = ssl.create_default_context(cafile=str(folder / "tls.crt"))
            yield Hub(demo, f"https://localhost:{port}", context)
    finally:
        upgrade(demo, "hub.enabled=false")
        demo.kubectl.run("delete", "namespace", TEAM, "--wait=false")
        demo.kubectl.run("delete", "secret", "hub-tls", "--namespace", NAMESPACE)
        demo.kubectl.run("delete", "clusterrolebinding", "hub-everything")
        demo.kubectl.run("delete", "rolebinding", "hub-monitoring", "--namespace", NAMESPACE)


def upgrade(demo: DemoCluster, *values: str) -> None:
    demo.kubectl.helm(
        *("upgrade", RELEASE, str(CHART), "--namespace", NAMESPACE, "--reuse-values"),
        *(word for value in values for word in ("--set", value)),
    )


def create_accounts(demo: DemoCluster) -> None:
    """Create a namespace with a MonitoringTarget without nodes and with a series of its own, and the accounts."""
    demo.kubectl.run("create", "namespace", TEAM)
    rule = {"record": METRIC, "expr": "vector(1)", "labels": {"namespace": TEAM}}
    objects = (
        (
            "metricat.dev/v1alpha1",
            "MonitoringTarget",
            {"allowEmpty": True, "nodeSelector": {"matchLabels": {"no": "node"}}},
        ),
        ("monitoring.coreos.com/v1", "PrometheusRule", {"groups": [{"name": "hub-test", "rules": [rule]}]}),
    )
    for version, kind, spec in objects:
        metadata = {"name": "hub-test", "namespace": TEAM, "labels": {"release": "demo"}}
        demo.kubectl.apply(json.dumps({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}))
    for name, namespace in ACCOUNTS.items():
        demo.kubectl.run("create", "serviceaccount", name, "--namespace", TEAM)
        role = (f"--clusterrole={HUB}-viewer", f"--serviceaccount={TEAM}:{name}")
        if namespace:
            demo.kubectl.run("create", "rolebinding", f"hub-{name}", "--namespace", namespace, *role)
        elif namespace is not None:
            demo.kubectl.run("create", "clusterrolebinding", f"hub-{name}", *role)


def ready(demo: DemoCluster) -> int:
    return int(demo.kubectl.get("deployment", HUB, "--namespace", NAMESPACE)["status"].get("readyReplicas", 0))


@contextmanager
def forwarded(demo: DemoCluster) -> Iterator[int]:
    """Forward a free port of this machine to the Service, as the chart's notes say."""
    program = ensure("kubectl")["kubectl"]
    command = [
        str(program),
        "--kubeconfig",
        str(demo.kubectl.kubeconfig or ""),
        "port-forward",
        f"--namespace={NAMESPACE}",
    ]
    with subprocess.Popen([*command, f"service/{HUB}", ":8428"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert select.select([process.stdout], [], [], 60)[0], "kubectl does not forward the port"
            found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found
            yield int(found[1])
        finally:
            process.terminate()


def test_hub_answers_from_the_prometheus_that_the_status_names(hub: Hub) -> None:
    [address] = hub.demo.target()["status"]["prometheuses"]
    assert address == {
        "namespace": NAMESPACE,
        "name": "demo",
        "url": f"http://prometheus-demo-0.prometheus-operated.{NAMESPACE}.svc:9090",
    }
    query = "count(node_uname_info)"
    [expected] = hub.demo.prometheus.query(query)
    assert hub.values("everything", query) == {"": expected.value}
    nodes = hub.get("everything", "/api/nodes").json["data"]
    assert sorted(one["node"] for one in nodes) == hub.demo.nodes()


def test_each_user_sees_the_own_namespaces_only(hub: Hub) -> None:
    until("the series of the team", lambda: TEAM in hub.values("everything", METRIC))
    query = f'count by (namespace) ({{__name__=~"node_uname_info|{METRIC}"}})'
    nodes = float(len(hub.demo.nodes()))
    assert hub.values("everything", query) == {NAMESPACE: nodes, TEAM: 1.0}
    assert hub.values("monitoring", query) == {NAMESPACE: nodes}
    assert hub.values("team", query) == {TEAM: 1.0}
    assert hub.values("team", f'node_uname_info{{namespace="{NAMESPACE}"}} or {METRIC} or vector(0)')[TEAM] == 1.0
    assert hub.get("team", "/api/v1/label/namespace/values").json["data"] == [TEAM]
    assert hub.get("team", "/api/v1/series", **{"match[]": "node_uname_info"}).json["data"] == []
    assert hub.get("team", "/api/nodes").json["data"] == []
    assert sorted(one["node"] for one in hub.get("monitoring", "/api/nodes").json["data"]) == hub.demo.nodes()


def test_user_without_a_namespace_and_client_without_a_token_see_nothing(hub: Hub) -> None:
    denied = hub.get("nothing", "/api/v1/query", query="up")
    assert denied.status == 403
    assert f"system:serviceaccount:{TEAM}:nothing may not get monitoringtargets" in denied.body.decode()
    assert hub.get("", "/api/v1/query", query="up").status == 401
    wrong = send(f"{hub.url}/api/v1/query?query=up", headers={"Authorization": "Bearer x"}, context=hub.context)
    assert wrong.status == 401
    assert send(f"{hub.url}/healthz", context=hub.context).status == 200


def test_users_cannot_write(hub: Hub) -> None:
    token = hub.demo.kubectl.run("create", "token", "everything", "--namespace", TEAM).strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    assert send(f"{hub.url}/api/v1/write", b"", headers, context=hub.context).status == 403


def test_revoked_right_ends_within_seconds(hub: Hub) -> None:
    role = (f"--clusterrole={HUB}-viewer", f"--serviceaccount={TEAM}:nothing")
    hub.demo.kubectl.run("create", "rolebinding", "hub-nothing", "--namespace", TEAM, *role)
    until("the right", lambda: hub.get("nothing", "/api/v1/query", query=METRIC).status == 200, seconds=60)
    hub.demo.kubectl.run("delete", "rolebinding", "hub-nothing", "--namespace", TEAM)
    until("its end", lambda: hub.get("nothing", "/api/v1/query", query=METRIC).status == 403, seconds=60)


def test_prometheus_scrapes_both_replicas(hub: Hub) -> None:
    since = time.time()

    def up() -> list[float]:
        return [one.value for one in hub.demo.prometheus.scraped_since(since, f'up{{service="{HUB}"}}')]

    until("both replicas to be scraped", lambda: up() == [1, 1])


def test_no_token_and_no_key_is_in_the_log(hub: Hub) -> None:
    hub.get("everything", "/api/v1/query", query="up")
    log = hub.demo.kubectl.run("logs", f"deployment/{HUB}", "--namespace", NAMESPACE, "--all-pods=true")
    assert "Metricat listens on" in log
    assert not re.search(r"eyJ[\w-]{20,}|metricat_[0-9a-f]{12}_", log)
