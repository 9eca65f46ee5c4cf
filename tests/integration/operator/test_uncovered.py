"""Causes of missing agents if the cluster rejects their pods: only events of the DaemonSet report them."""

import pytest

from support.harness import CHILD, Cluster, Manifest, eventually, target, wait_ready

pytestmark = [pytest.mark.usefixtures("operator"), pytest.mark.slow]

SOON = 60.0


def reasons(cluster: Cluster, namespace: str) -> dict[str, str]:
    found: Manifest = (cluster.get("mtarget", "nodes", namespace) or {}).get("status", {})
    return {one["reason"]: one["message"] for one in found.get("uncovered", [])}


def test_pod_security_is_reported_and_its_remedy_works(cluster: Cluster, namespace: str) -> None:
    cluster.do("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    cluster.apply(target(namespace))
    eventually(lambda: reasons(cluster, namespace).keys() == {"PodSecurity"}, SOON)
    message = reasons(cluster, namespace)["PodSecurity"]
    assert 'violates PodSecurity "restricted:latest"' in message

    words = message.partition("kubectl ")[2].split(", then immediately: kubectl ")  # as printed
    for command in words:
        cluster.do(*command.split())
    wait_ready(cluster, namespace)
    assert reasons(cluster, namespace) == {}


def test_exceeded_quota_is_reported(cluster: Cluster, namespace: str) -> None:
    cluster.do("create", "quota", "few", "-n", namespace, "--hard=pods=1")
    cluster.apply(target(namespace))
    eventually(lambda: reasons(cluster, namespace).keys() == {"QuotaExceeded"}, SOON)
    assert "exceeded quota: few" in reasons(cluster, namespace)["QuotaExceeded"]
    cluster.do("delete", "quota", "few", "-n", namespace)
    cluster.do("rollout", "restart", "daemonset", CHILD, "-n", namespace)
    wait_ready(cluster, namespace)


def test_write_rejected_by_a_quota_is_retried_without_an_event(cluster: Cluster, namespace: str) -> None:
    cluster.do("create", "quota", "none", "-n", namespace, "--hard=count/daemonsets.apps=0")
    cluster.apply(target(namespace))
    eventually(lambda: "quota" in cluster.condition(namespace, "nodes", "Applied").get("message", ""))
    assert cluster.condition(namespace, "nodes", "Applied")["status"] == "False"
    cluster.do("delete", "quota", "none", "-n", namespace)
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied")["status"] == "True", 1.5 * SOON)
