"""The Prometheus Operator's kinds may be absent, come and go; the agents run all the same."""

from support.operating import CHILD, Cluster, RunningOperator, crd_file, eventually, target, wait_ready


def test_kinds_that_go_and_come(cluster: Cluster, namespace: str, operator: RunningOperator) -> None:
    cluster.do("delete", "crd", "prometheusrules.monitoring.coreos.com")
    try:
        cluster.apply(target(namespace))
        wait_ready(cluster, namespace)
        eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("reason") == "NotServed")
        message = cluster.condition(namespace, "nodes", "Applied")["message"]
        assert message.startswith("the cluster does not serve PrometheusRule; install the Prometheus Operator")
        assert cluster.get("servicemonitor", CHILD, namespace)
    finally:
        cluster.do("apply", "--server-side", "-f", str(crd_file("prometheusrules")))
    cluster.do("wait", "--for=condition=Established", "crd/prometheusrules.monitoring.coreos.com")
    eventually(lambda: cluster.get("prometheusrule", CHILD, namespace), seconds=10)
    eventually(lambda: cluster.condition(namespace, "nodes", "Applied").get("status") == "True")
    assert operator.process is not None
    assert operator.process.poll() is None
