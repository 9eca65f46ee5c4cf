"""The chart's whole life: no step of it may delete the CRD, and every target with it; an upgrade changes it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_tools.demo.scene import TARGET, Scene
from metricat_tools.stack.ask import NAMESPACE
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.metricat import CHART, RELEASE, SCRAPED, split, uninstall_metricat
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e

CRD = "monitoringtargets.metricat.dev"
FIRST = "first"
"""The target that comes with the release."""


@pytest.fixture
def newer_chart(tmp_path: Path) -> Path:
    """The chart as a later version might be: the CRD knows one field more."""
    chart = tmp_path / "metricat"
    shutil.copytree(CHART, chart)
    path = chart / "crds" / "metricat.dev_monitoringtargets.yaml"
    crd = yaml.safe_load(path.read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["later"] = {"type": "string"}
    path.write_text(yaml.safe_dump(crd))
    return chart


def uids(scene: Scene) -> tuple[str, str]:
    """Of the CRD and of the target that the user applied."""
    crd = scene.kubectl.get("crd", CRD)
    target = scene.kubectl.get("mtarget", TARGET, "--namespace", NAMESPACE)
    return crd["metadata"]["uid"], target["metadata"]["uid"]


def knows_later(scene: Scene) -> bool:
    crd: Any = scene.kubectl.get("crd", CRD)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return "later" in spec["properties"]


def first(scene: Scene) -> Object:
    return scene.kubectl.get("mtarget", FIRST, "--namespace", NAMESPACE)


def agents_of_first(scene: Scene) -> bool:
    """Its DaemonSet: the demo's target is older, and owns all nodes."""
    return scene.kubectl.exists("daemonsets", "--namespace", NAMESPACE, f"--selector=metricat.dev/target={FIRST}")


def condition(target: Object, kind: str) -> Object | None:
    conditions = target.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), None)


def named(image: str) -> list[tuple[str, str]]:
    repository, tag = split(image)
    return [("repository", repository), ("tag", tag)]


def helm(scene: Scene, *arguments: str) -> None:
    scene.kubectl.helm(*arguments, "--namespace", NAMESPACE, "--wait", "--timeout=3m")


def test_upgrade_rollback_and_uninstall_keep_the_crd_and_the_users_targets(scene: Scene, newer_chart: Path) -> None:
    before = uids(scene)
    assert not knows_later(scene)

    spec = json.dumps({"later": "x", "monitor": {"interval": "30s"}})
    helm(
        scene,
        *("upgrade", RELEASE, str(newer_chart), "--reuse-values"),
        *("--set", "defaultTarget.enabled=true", "--set", f"defaultTarget.name={FIRST}"),
        *("--set-json", f"defaultTarget.spec={spec}"),
    )
    assert uids(scene) == before
    assert knows_later(scene)
    assert first(scene)["spec"]["later"] == "x"
    until("agents of the first target", lambda: agents_of_first(scene))
    accepted = until("what the operator says of the new field", lambda: condition(first(scene), "Accepted"))
    assert accepted["reason"] == "AcceptedWithWarnings"
    assert "spec.later: unknown to this version of the operator, and ignored" in accepted["message"]
    for kind in ("job", "configmap", "serviceaccount", "clusterrole", "clusterrolebinding"):
        assert not scene.kubectl.exists(kind, f"{RELEASE}-crds", "--namespace", NAMESPACE), kind

    helm(scene, "rollback", RELEASE)
    assert uids(scene) == before
    assert knows_later(scene), "an older CRD would drop what targets hold"
    until("the first target to go", lambda: not scene.kubectl.exists("mtarget", FIRST, "--namespace", NAMESPACE))
    until("its agents to go", lambda: not agents_of_first(scene))

    helm(
        scene,
        *("upgrade", RELEASE, str(CHART), "--reuse-values"),
        *("--set", "defaultTarget.enabled=true", "--set", f"defaultTarget.name={FIRST}"),
        *("--set-json", "defaultTarget.spec={}"),
    )
    assert uids(scene) == before
    assert not knows_later(scene)
    until("agents of the first target", lambda: agents_of_first(scene))

    uninstall_metricat(scene.kubectl)
    assert uids(scene) == before
    assert not scene.kubectl.exists("mtarget", FIRST, "--namespace", NAMESPACE)
    until("the first target's agents to go", lambda: not agents_of_first(scene))

    images = [f"image.{part}.{key}={value}" for part, image in scene.images.items() for key, value in named(image)]
    helm(
        scene,
        *("install", RELEASE, str(newer_chart), *SCRAPED, "--set", "defaultTarget.enabled=true"),
        *("--set", f"defaultTarget.name={FIRST}", "--set-json", 'defaultTarget.spec={"later": "y"}'),
        *(word for image in images for word in ("--set-string", image)),
    )
    assert uids(scene) == before
    assert knows_later(scene), "an install brings a changed CRD too, where an older one was left behind"
    ready = condition(first(scene), "Ready")
    assert ready
    assert ready["status"] == "True", "helm install --wait ends when the agents are there"

    helm(scene, "upgrade", RELEASE, str(CHART), "--reuse-values", "--set", "defaultTarget.enabled=false")
    assert uids(scene) == before
    until("the target to be ready", scene.ready)
