"""`helm test` passes on a healthy cluster, and names the first broken link of each fault."""

from collections.abc import Callable

import pytest

from metricat_tools.cluster import NodeCluster
from metricat_tools.demo.demo_cluster import DemoCluster, target
from metricat_tools.images.product import CHECKOUT
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import KubectlError
from metricat_tools.stack.metricat import CHART, RELEASE
from metricat_tools.stack.wait import until
from support.pipeline import (
    CLEARED_SECONDS,
    PLACE,
    agents,
    broken,
    condition,
    dropped,
    monitored,
    named,
    patch,
    pods,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CRD = "monitoringtargets.metricat.dev"
TARGET = f"{NAMESPACE}/nodes"


@pytest.fixture(scope="module", autouse=True)
def short_wait(demo_and_nodes: tuple[NodeCluster, DemoCluster]) -> None:
    """Let `helm test` repeat failed checks for seconds only: each test waits for its fault first."""
    _, demo = demo_and_nodes
    until("the monitoring to work", lambda: monitored(demo), seconds=CLEARED_SECONDS, why=lambda: str(demo.target()))
    demo.kubectl.helm("upgrade", RELEASE, str(CHART), *PLACE, "--reuse-values", "--set=helmTest.wait=5s", "--wait")


@pytest.fixture(autouse=True)
def monitoring_works(demo: DemoCluster) -> None:
    until("the monitoring to work", lambda: monitored(demo), seconds=CLEARED_SECONDS, why=lambda: str(demo.target()))


def helm_test(demo: DemoCluster) -> str:
    """Return the last line of the test pod's output. Helm must fail exactly if the output names a broken link."""
    error = ""
    try:
        demo.kubectl.helm("test", RELEASE, *PLACE, "--timeout=3m")
    except KubectlError as failed:
        error = str(failed)
    output = demo.kubectl.run("logs", f"{RELEASE}-check", *PLACE)
    verdict = output.strip().splitlines()[-1]
    assert bool(error) == ("First broken link: " in verdict), f"{error}\n{output}"
    assert not error or f"pod {RELEASE}-check failed" in error
    return verdict


def first_broken(demo: DemoCluster) -> str:
    """Run `helm test`, which must fail, and return the first broken link: its section and its name."""
    verdict = helm_test(demo)
    assert "First broken link: " in verdict
    return verdict.partition("First broken link: ")[2].removesuffix(".")


def restore_target(demo: DemoCluster) -> Callable[[], None]:
    """Return a repair. `apply` does not remove the fields that a test added: the manager of the patch owns them."""

    def restore() -> None:
        added = {"nodeSelector": None, "agent": {"collectors": None, "resources": None}, "monitor": {"labels": None}}
        patch(demo, "mtarget", "nodes", {"spec": added})
        demo.kubectl.apply(target())

    return restore


def test_healthy_cluster_passes(demo: DemoCluster) -> None:
    assert helm_test(demo).startswith("All ")


def test_operator_without_pods(demo: DemoCluster) -> None:
    replicas = demo.kubectl.get("deployment", RELEASE, *PLACE)["spec"]["replicas"]

    def scale(number: int) -> None:
        demo.kubectl.run("scale", "deployment", RELEASE, *PLACE, f"--replicas={number}")

    with broken(demo, lambda: scale(replicas)):
        scale(0)
        assert first_broken(demo) == f"operator: the pods of {NAMESPACE}/{RELEASE} are ready"


def test_refused_target(demo: DemoCluster) -> None:
    with broken(demo, restore_target(demo)):
        pattern = {"spec": {"agent": {"collectors": {"diskstats": {"excludeDevices": r"sd\z"}}}}}
        patch(demo, "mtarget", "nodes", pattern)
        named(demo, "Accepted", "Invalid")
        assert first_broken(demo) == f"{TARGET}: the spec is valid"


def test_selector_without_nodes(demo: DemoCluster) -> None:
    with broken(demo, restore_target(demo)):
        patch(demo, "mtarget", "nodes", {"spec": {"nodeSelector": {"matchLabels": {"no-such": "label"}}}})
        named(demo, "NodesSelected", "NoNodes")
        assert first_broken(demo) == f"{TARGET}: the spec selects nodes"


def test_failing_agent(demo: DemoCluster) -> None:
    with broken(demo, restore_target(demo)):
        patch(demo, "mtarget", "nodes", {"spec": {"agent": {"resources": {"requests": {"cpu": "1k"}}}}})
        until("an agent to be unready", lambda: condition(demo, "AgentsReady")["status"] == "False")
        assert first_broken(demo) == f"{TARGET}: every node has a ready agent"


def test_unselected_monitor(demo: DemoCluster) -> None:
    with broken(demo, restore_target(demo)):
        patch(demo, "mtarget", "nodes", {"spec": {"monitor": {"labels": {"release": "other"}}}})
        named(demo, "Selected", "LabelMissing")
        assert first_broken(demo) == f"{TARGET}: a Prometheus selects the monitor and the rules"


def test_rejected_rule(demo: DemoCluster) -> None:
    with broken(demo, lambda: patch(demo, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": None}}})):
        group = {"name": "own", "rules": [{"record": "own:rule", "expr": "sum("}]}
        patch(demo, "mtarget", "nodes", {"spec": {"alerts": {"extraGroups": [group]}}})
        named(demo, "RulesLoaded", "RuleRejected")
        assert first_broken(demo) == f"{TARGET}: Prometheus has loaded the rules"


def test_blocked_scrape(demo: DemoCluster, cluster: NodeCluster) -> None:
    [prometheus] = pods(demo, "prometheus=demo")
    name = next(name for name in demo.nodes() if name != prometheus["spec"]["nodeName"])
    with dropped(demo, cluster.node(name), f"ip daddr {agents(demo)[name]['status']['podIP']}"):
        named(demo, "Scraped", "TargetsDown")
        assert first_broken(demo) == f"{TARGET}: Prometheus scrapes every node"


def test_missing_crd(demo: DemoCluster) -> None:
    """Run last: with the CRD, Kubernetes deletes the target and its objects."""

    def restore() -> None:
        demo.kubectl.run("apply", "--server-side", "-f", str(CHECKOUT / "crds"))
        until("the kind to be served", lambda: demo.kubectl.run("get", "crd", CRD, "-o", "name"))
        demo.kubectl.run("rollout", "restart", "deployment", RELEASE, *PLACE)
        demo.kubectl.run("rollout", "status", "deployment", RELEASE, *PLACE, "--timeout=2m")
        demo.apply_target()
        demo.wait_scraped()
        demo.wait_monitored()

    with broken(demo, restore):
        demo.kubectl.run("delete", "crd", CRD, "--timeout=90s")
        assert first_broken(demo) == "operator: the CRD MonitoringTarget exists"
