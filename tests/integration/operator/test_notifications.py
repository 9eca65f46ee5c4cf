"""Receivers become an AlertmanagerConfig, and the status reports which Alertmanager selects it."""

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from support.harness import CHILD, Cluster, crd_file, eventually, served, target, wait_ready

pytestmark = pytest.mark.usefixtures("operator")
KIND = "alertmanagerconfig"
SECRET = {"name": "on-call", "key": "it"}
RECEIVERS: list[dict[str, Any]] = [
    {"name": "chat", "slack": {"url": SECRET}, "quietHours": [{"from": "22:00", "to": "06:00"}]},
    {"name": "mail", "email": {"to": "a@b.c", "from": "d@e.f", "server": "mail:587"}, "pools": ["default"]},
]


@pytest.fixture(scope="module", autouse=True)
def alertmanager_kind(cluster: Cluster) -> Iterator[None]:
    with served(cluster, "alertmanagers"):
        yield


def notifications_configured(cluster: Cluster, namespace: str) -> dict[str, Any]:
    return cluster.condition(namespace, "nodes", "NotificationsConfigured")


def test_config_is_created_repaired_kept_and_deleted(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace))
    wait_ready(cluster, namespace)
    assert not notifications_configured(cluster, namespace)
    assert cluster.get(KIND, CHILD, namespace) is None

    cluster.apply(target(namespace, {"notifications": {"receivers": RECEIVERS}}))
    eventually(lambda: cluster.get(KIND, CHILD, namespace))
    made = cluster.get(KIND, CHILD, namespace)
    assert made is not None
    assert [one["name"] for one in made["spec"]["receivers"]] == ["Blackhole", "chat", "mail"]

    # The operator removes a foreign label in groupBy.
    patch = '[{"op": "add", "path": "/spec/route/groupBy/-", "value": "instance"}]'
    cluster.do("patch", KIND, CHILD, "-n", namespace, "--type=json", f"-p={patch}")
    eventually(lambda: (cluster.get(KIND, CHILD, namespace) or {})["spec"] == made["spec"], 10)
    settled = cluster.get(KIND, CHILD, namespace)
    assert settled is not None
    cluster.do("annotate", "mtarget", "nodes", "-n", namespace, "look=again")
    cluster.apply(target(namespace, {"notifications": {"receivers": RECEIVERS}, "monitor": {"interval": "20s"}}))
    eventually(lambda: "20s" in str(cluster.get("servicemonitor", CHILD, namespace)))
    again = cluster.get(KIND, CHILD, namespace)
    assert again is not None
    assert again["metadata"]["resourceVersion"] == settled["metadata"]["resourceVersion"]

    cluster.apply(target(namespace))
    eventually(lambda: cluster.get(KIND, CHILD, namespace) is None)
    eventually(lambda: not notifications_configured(cluster, namespace))


def test_patch_in_the_message_makes_an_alertmanager_select_the_config(cluster: Cluster, namespace: str) -> None:
    cluster.apply(target(namespace, {"notifications": {"receivers": RECEIVERS}}))
    eventually(lambda: notifications_configured(cluster, namespace).get("reason") == "NoAlertmanager")
    cluster.apply(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "Alertmanager",
            "metadata": {"name": "main", "namespace": namespace},
            "spec": {"alertmanagerConfigSelector": {"matchLabels": {"release": "kps"}}},
        }
    )
    eventually(lambda: notifications_configured(cluster, namespace).get("reason") == "LabelMissing")
    kubectl, *words = shlex.split(notifications_configured(cluster, namespace)["message"].rpartition("run: ")[2])
    assert kubectl == "kubectl"
    cluster.do(*words)
    eventually(lambda: notifications_configured(cluster, namespace).get("status") == "True")
    assert (
        notifications_configured(cluster, namespace)["message"]
        == f"Alertmanager {namespace}/main selects the AlertmanagerConfig"
    )


@pytest.mark.slow
def test_status_is_unknown_if_the_kind_is_not_served(cluster: Cluster, namespace: str) -> None:
    cluster.do("delete", "crd", "alertmanagerconfigs.monitoring.coreos.com")
    try:
        cluster.apply(target(namespace, {"notifications": {"receivers": RECEIVERS}}))
        wait_ready(cluster, namespace)
        eventually(lambda: notifications_configured(cluster, namespace).get("reason") == "NotServed")
        assert notifications_configured(cluster, namespace)["status"] == "Unknown"
        assert cluster.get("prometheusrule", CHILD, namespace)
    finally:
        cluster.do("apply", "--server-side", "-f", str(crd_file("alertmanagerconfigs")))
    eventually(lambda: cluster.get(KIND, CHILD, namespace), 15)
