"""The operator's own metrics: access by RBAC, and their agreement with the statuses."""

import http.client
import json
import urllib.request

import pytest

from metricat_operator.status import MAX_UNCOVERED
from metricat_tools.cluster import ControlPlane
from support.harness import CHILD, Cluster, RunningOperator, eventually, target, wait_ready


@pytest.fixture(scope="session")
def token(cluster: Cluster) -> str:
    """The token of a ServiceAccount with the chart's ClusterRole, bound as the message of a 403 says."""
    cluster.do("create", "serviceaccount", "scraper", "-n", "monitoring")
    cluster.do(
        *("create", "clusterrolebinding", "scraper", "--clusterrole=metricat-metrics-reader"),
        "--serviceaccount=monitoring:scraper",
    )
    return cluster.do("create", "token", "scraper", "-n", "monitoring").strip()


def test_metrics_require_authentication_and_the_right_to_get(
    cluster: Cluster, operator: RunningOperator, token: str
) -> None:
    eventually(lambda: operator.scrape(token)[0] == 200)
    status, text = operator.scrape()
    assert (status, text) == (
        401,
        "Authentication required. Send a bearer token of this cluster, such as a ServiceAccount's.\n",
    )
    assert operator.scrape("made-up")[0] == 401
    unauthorized = cluster.do("create", "token", "default", "-n", "monitoring").strip()
    status, text = operator.scrape(unauthorized)
    assert status == 403
    assert "--clusterrole=metricat-metrics-reader" in text
    port = operator.environment["METRICAT_METRICS_PORT"]
    with pytest.raises((OSError, http.client.HTTPException)):  # the port speaks TLS only
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10)


def test_metrics_report_the_status(
    cluster: Cluster, namespace: str, operator: RunningOperator, control_plane: ControlPlane, token: str
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    control_plane.simulate_nodes(["broken-metrics"])
    mine = f'target="nodes",target_namespace="{namespace}"'
    expected = [
        f'metricat_node_uncovered{{node="broken-metrics",pool="default",reason="ImagePullBackOff",{mine}}} 1.0',
        f"metricat_target_nodes_uncovered{{{mine}}} 1.0",
        f'metricat_target_condition{{status="False",{mine},type="Ready"}} 1.0',
        f'metricat_target_condition{{status="True",{mine},type="Ready"}} 0.0',
    ]
    try:
        eventually(lambda: set(expected) <= set(operator.scrape(token)[1].splitlines()))
    finally:
        cluster.do("delete", "node", "broken-metrics")
    eventually(lambda: not {expected[0], *expected[2:]} & set(operator.scrape(token)[1].splitlines()))
    cluster.do("delete", "mtarget", "nodes", "-n", namespace)
    eventually(lambda: namespace not in operator.scrape(token)[1])


def listed(cluster: Cluster, namespace: str) -> list[dict[str, str]]:
    found = (cluster.get("mtarget", "nodes", namespace) or {}).get("status", {})
    nodes: list[dict[str, str]] = found.get("uncovered", [])
    return nodes


@pytest.mark.slow
def test_metrics_report_every_uncovered_node(
    cluster: Cluster, namespace: str, operator: RunningOperator, control_plane: ControlPlane, token: str
) -> None:
    names = control_plane.simulate_nodes([f"broken-{number}" for number in range(MAX_UNCOVERED + 5)], {"many": "yes"})
    cluster.apply(target(namespace, {"nodeSelector": {"matchLabels": {"many": "yes"}}}))

    def every() -> bool:
        lines = [one for one in operator.scrape(token)[1].splitlines() if one.startswith("metricat_node_uncovered")]
        mine = [one for one in lines if f'target_namespace="{namespace}"' in one]
        assert {one.partition('node="')[2].partition('"')[0] for one in mine} == set(names)
        return True

    try:
        eventually(every)
        eventually(lambda: len(listed(cluster, namespace)) == MAX_UNCOVERED)
        assert every()
    finally:
        cluster.do("delete", "nodes", *names, "--wait=false")
    eventually(lambda: f'node="{names[0]}"' not in operator.scrape(token)[1])


def test_temporary_failure_is_reported_retried_and_counted(
    cluster: Cluster, namespace: str, operator: RunningOperator, token: str
) -> None:
    """Simulate a webhook without a server, as after a failed upgrade of another product."""
    webhook = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "down.example.com",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]}
                ],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 1,
            }
        ],
    }
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    cluster.api.call("POST", path, webhook)
    try:
        cluster.apply(target(namespace))
        eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("reason") == "InternalError")
        assert "failed calling webhook" in cluster.condition(namespace, "nodes", "Applied")["message"]
        wait_ready(cluster, namespace)  # the other children are created
        eventually(lambda: '\nmetricat_reconcile_errors_total{reason="InternalError"} ' in operator.scrape(token)[1])
    finally:
        cluster.api.call("DELETE", f"{path}/{namespace}")
    eventually(lambda: cluster.get("service", CHILD, namespace), seconds=60)
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("status") == "True")


def test_metrics_report_the_operators_work(
    cluster: Cluster, namespace: str, operator: RunningOperator, token: str
) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    _, text = operator.scrape(token)
    for name in (
        "metricat_reconcile_duration_seconds_count",
        "metricat_workqueue_depth",
        "metricat_leader",
        'metricat_watch_last_activity_age_seconds{kind="Node"}',
        'metricat_rest_client_requests_total{code="200",verb="list"}',
        "process_resident_memory_bytes",
    ):
        assert f"\n{name} " in text, name


def test_metrics_report_cordoned_new_and_pressured_nodes(
    cluster: Cluster, operator: RunningOperator, control_plane: ControlPlane, token: str
) -> None:
    control_plane.simulate_nodes(["going"])
    cluster.do("cordon", "going")
    pressed = {"status": {"conditions": [{"type": "DiskPressure", "status": "True"}]}}
    cluster.do("patch", "node", "going", "--subresource=status", "--type=strategic", f"--patch={json.dumps(pressed)}")
    expected = (
        '\nmetricat_node_cordoned{node="going",reason="Cordoned"} 1.0',
        '\nmetricat_node_pressure{condition="DiskPressure",node="going"} 1.0',
        "\nmetricat_node_created_timestamp",
    )
    try:
        eventually(lambda: all(one in operator.scrape(token)[1] for one in expected))
    finally:
        cluster.do("delete", "node", "going")
    eventually(lambda: 'node="going"' not in operator.scrape(token)[1])
