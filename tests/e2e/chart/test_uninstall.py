"""`helm uninstall` removes the operator and no object of a user. This file runs after the others."""

import pytest

from metricat_tools.demo.demo_cluster import SERVICE, TARGET, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.metricat import RELEASE, uninstall_metricat
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e
OURS = f"app.kubernetes.io/instance={RELEASE}"


def test_uninstall_leaves_the_crd_the_targets_and_their_agents(demo: DemoCluster) -> None:
    uninstall_metricat(demo.kubectl)
    for kind in ("deployment", "serviceaccount", "clusterrole", "clusterrolebinding"):
        left = demo.kubectl.items(kind, "--all-namespaces", f"--selector={OURS},app.kubernetes.io/managed-by=Helm")
        assert left == [], kind
    assert demo.kubectl.exists("crd", "monitoringtargets.metricat.dev")
    assert demo.kubectl.exists("mtarget", TARGET, "--namespace", NAMESPACE)
    daemon_set = demo.kubectl.get("daemonset", SERVICE, "--namespace", NAMESPACE)
    assert daemon_set["status"]["numberReady"] == 2
    # Otherwise the next install would wait for the Lease of a deleted pod that had no permission to release it.
    until("the Lease to go", lambda: not demo.kubectl.exists("lease", RELEASE, "--namespace", NAMESPACE), seconds=30)


def test_a_new_install_takes_the_targets_over_without_a_rollout(demo: DemoCluster) -> None:
    before = demo.kubectl.get("daemonset", SERVICE, "--namespace", NAMESPACE)["metadata"]
    demo.install_metricat()
    until("the target to be ready", demo.ready)
    after = demo.kubectl.get("daemonset", SERVICE, "--namespace", NAMESPACE)["metadata"]
    assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])
