"""The agents run whether or not the cluster serves the Prometheus Operator's kinds."""

from functools import partial

import pytest
import yaml

from support.harness import CHILD, Cluster, RunningOperator, crd_file, eventually, target, wait_ready

RECEIVER = {"name": "on-call", "webhook": {"url": "http://example.com"}}


@pytest.mark.slow
def test_agents_run_after_the_crds_of_existing_objects_are_deleted(
    cluster: Cluster, namespace: str, operator: RunningOperator
) -> None:
    kinds = ("servicemonitor", "prometheusrule", "alertmanagerconfig")
    cluster.apply(target(namespace, {"notifications": {"receivers": [RECEIVER]}}))
    wait_ready(cluster, namespace)
    eventually(lambda: all(cluster.get(kind, CHILD, namespace) for kind in kinds))
    cluster.do("delete", "crd", *(f"{kind}s.monitoring.coreos.com" for kind in kinds))
    try:
        eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("reason") == "NotServed", seconds=90)
        message = cluster.condition(namespace, "nodes", "Applied")["message"]
        assert "does not serve AlertmanagerConfig, PrometheusRule and ServiceMonitor. Install" in message
        assert cluster.condition(namespace, "nodes", "Ready")["status"] == "True"
        assert cluster.condition(namespace, "nodes", "Monitored")["status"] == "Unknown"
        cluster.delete("service", CHILD, namespace)  # what is served is repaired all the same
        eventually(lambda: cluster.get("service", CHILD, namespace), seconds=5)
    finally:
        for kind in kinds:
            cluster.do("apply", "--server-side", "-f", str(crd_file(f"{kind}s")))
    for kind in kinds:
        cluster.do("wait", "--for=condition=Established", f"crd/{kind}s.monitoring.coreos.com")
    for kind in kinds:
        eventually(partial(cluster.get, kind, CHILD, namespace), seconds=10)
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("status") == "True")
    assert operator.process is not None
    assert operator.process.poll() is None


def test_objects_are_created_again_after_their_crd_returns(
    cluster: Cluster, namespace: str, operator: RunningOperator
) -> None:
    cluster.do("delete", "crd", "prometheusrules.monitoring.coreos.com")
    try:
        cluster.apply(target(namespace))
        wait_ready(cluster, namespace)
        eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("reason") == "NotServed")
        message = cluster.condition(namespace, "nodes", "Applied")["message"]
        assert message.startswith("The cluster does not serve PrometheusRule. Install the Prometheus Operator")
        assert cluster.get("servicemonitor", CHILD, namespace)
    finally:
        cluster.do("apply", "--server-side", "-f", str(crd_file("prometheusrules")))
    cluster.do("wait", "--for=condition=Established", "crd/prometheusrules.monitoring.coreos.com")
    eventually(lambda: cluster.get("prometheusrule", CHILD, namespace), seconds=10)
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("status") == "True")
    assert operator.process is not None
    assert operator.process.poll() is None


@pytest.mark.slow
@pytest.mark.usefixtures("operator")
def test_a_field_unknown_to_an_older_prometheus_operator_is_reported(cluster: Cluster, namespace: str) -> None:
    manifest = yaml.safe_load(crd_file("servicemonitors").read_text())
    for version in manifest["spec"]["versions"]:
        del version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["serviceDiscoveryRole"]
    monitor = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": {"serviceDiscoveryRole": "EndpointSlice", "endpoints": [], "selector": {}},
    }
    command = ("apply", "--server-side", "--dry-run=server", "-f", "-")
    cluster.do("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(manifest))
    try:
        eventually(lambda: cluster.run(*command, stdin=yaml.safe_dump(monitor)).returncode != 0)
        cluster.apply(target(namespace, {"monitor": {"serviceDiscoveryRole": "EndpointSlice"}}))
        eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("status") == "False")
        message = cluster.condition(namespace, "nodes", "Applied")["message"]
        assert message.endswith(".spec.serviceDiscoveryRole: field not declared in schema")
        wait_ready(cluster, namespace)
    finally:
        cluster.do("apply", "--server-side", "-f", str(crd_file("servicemonitors")))
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("status") == "True", seconds=60)
    written = cluster.get("servicemonitor", CHILD, namespace)
    assert written
    assert written["spec"]["serviceDiscoveryRole"] == "EndpointSlice"
