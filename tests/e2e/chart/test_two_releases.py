"""Two releases: one for the whole cluster, and one for one namespace."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from metricat_tools.demo.demo_cluster import TARGET, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.metricat import CHART, RELEASE, split
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e

TEAM = "team"
FIRST, SECOND = f"{NAMESPACE}/{RELEASE}", f"{TEAM}/{TEAM}-metricat"
GROWTH = 2
"""Generations that a DaemonSet may grow by while two operators could correct each other."""


@pytest.fixture
def notes(demo: DemoCluster) -> Iterator[str]:
    """The notes that Helm prints when it installs the second release."""
    demo.kubectl.run("create", "namespace", TEAM)
    demo.kubectl.run("label", "namespace", TEAM, "pod-security.kubernetes.io/enforce=privileged")
    images = [
        word
        for part, image in demo.images.items()
        for key, value in zip(("repository", "tag"), split(image), strict=True)
        for word in ("--set-string", f"image.{part}.{key}={value}")
    ]
    yield demo.kubectl.helm(
        *("install", TEAM, str(CHART), "--namespace", TEAM, "--set", f"operator.namespaces={{{TEAM}}}", *images),
        *("--wait", "--timeout=3m"),
    )
    demo.kubectl.run("delete", "mtarget", "--all", "--namespace", TEAM)
    demo.kubectl.helm("uninstall", TEAM, "--namespace", TEAM, "--wait")
    demo.kubectl.run("delete", "namespace", TEAM)
    until("the demo's target to be ready", demo.ready)


def target(demo: DemoCluster, namespace: str = TEAM) -> Any:
    return demo.kubectl.get("mtarget", TARGET, "--namespace", namespace)


def reason(demo: DemoCluster, kind: str) -> str:
    found = target(demo).get("status", {}).get("conditions", [])
    return next((str(one["reason"]) for one in found if one["type"] == kind), "")


def generations(demo: DemoCluster) -> dict[str, int]:
    return {
        f"{one['metadata']['namespace']}/{one['metadata']['name']}": one["metadata"]["generation"]
        for one in demo.kubectl.items("daemonsets", "--all-namespaces", "--selector=app.kubernetes.io/name=metricat")
    }


@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.slow)])
def test_two_releases_do_not_fight_about_a_target(demo: DemoCluster, notes: str, seconds: int) -> None:
    """Without claims, the operators wrote three times a second."""
    assert f"These operators (NAMESPACE/NAME) are:\n{FIRST}." in notes
    assert f"metricat.dev/operator={SECOND}" in notes

    manifest = {
        "apiVersion": "metricat.dev/v1alpha1",
        "kind": "MonitoringTarget",
        "metadata": {"name": TARGET, "namespace": TEAM},
    }
    demo.kubectl.apply(json.dumps(manifest))
    until("an operator to claim the target", lambda: target(demo).get("status", {}).get("operator"))
    until("its DaemonSet", lambda: len(generations(demo)) == 2)
    before = generations(demo)
    time.sleep(seconds)
    after = generations(demo)
    assert {name: after[name] - number for name, number in before.items() if after[name] - number > GROWTH} == {}

    assert reason(demo, "Claimed") == "OtherOperators"
    assert reason(demo, "NodesSelected") == "Overlaps", "the older target of the other release owns all nodes"
    assert target(demo, NAMESPACE)["status"]["operator"] == FIRST

    other = SECOND if target(demo)["status"]["operator"] == FIRST else FIRST
    demo.kubectl.run("annotate", "mtarget", TARGET, "--namespace", TEAM, f"metricat.dev/operator={other}")
    until("the target to move", lambda: target(demo)["status"]["operator"] == other)
    until("the claim to be the only one", lambda: reason(demo, "Claimed") == "Claimed")
    time.sleep(seconds)
    moved = generations(demo)
    assert {name: moved[name] - number for name, number in after.items() if moved[name] - number > GROWTH} == {}
