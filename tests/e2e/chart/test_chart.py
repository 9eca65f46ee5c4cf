"""Install, upgrade, rollback and uninstall of the chart. No step may delete the CRD; an upgrade changes it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from metricat_tools.demo.demo_cluster import TARGET, DemoCluster
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.metricat import CHART, RELEASE, SCRAPED, split, uninstall_metricat
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e

CRD = "monitoringtargets.metricat.dev"
FIRST = "first"
"""Name of the release's own target (defaultTarget)."""


@pytest.fixture
def newer_chart(tmp_path: Path) -> Path:
    """A newer chart, with one more field in the CRD."""
    chart = tmp_path / "metricat"
    shutil.copytree(CHART, chart)
    path = chart / "charts" / "crds" / "crds" / "metricat.dev_monitoringtargets.yaml"
    crd = yaml.safe_load(path.read_text())
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["later"] = {"type": "string"}
    path.write_text(yaml.safe_dump(crd))
    values = json.loads((chart / "values.schema.json").read_text())
    values["$defs"]["kubernetes.monitoringTargetSpec"]["properties"]["later"] = {"type": "string"}
    (chart / "values.schema.json").write_text(json.dumps(values))
    return chart


def uids(demo: DemoCluster) -> tuple[str, str]:
    """Return the UIDs of the CRD and of the target that the user applied."""
    crd = demo.kubectl.get("crd", CRD)
    target = demo.kubectl.get("mtarget", TARGET, "--namespace", NAMESPACE)
    return crd["metadata"]["uid"], target["metadata"]["uid"]


def knows_later(demo: DemoCluster) -> bool:
    crd: Any = demo.kubectl.get("crd", CRD)
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return "later" in spec["properties"]


def first(demo: DemoCluster) -> Object:
    return demo.kubectl.get("mtarget", FIRST, "--namespace", NAMESPACE)


def agents_of_first(demo: DemoCluster) -> bool:
    """Return whether the DaemonSet of the release's target exists.

    The demo's target is older and owns all nodes, so this target is ready only with `allowEmpty`.
    """
    return demo.kubectl.exists("daemonsets", "--namespace", NAMESPACE, f"--selector=metricat.dev/target={FIRST}")


def condition(target: Object, kind: str) -> Object | None:
    conditions = target.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), None)


def named(image: str) -> list[tuple[str, str]]:
    repository, tag = split(image)
    return [("repository", repository), ("tag", tag)]


def helm(demo: DemoCluster, *arguments: str) -> None:
    demo.kubectl.helm(*arguments, "--namespace", NAMESPACE, "--wait", "--timeout=3m")


def test_upgrade_rollback_and_uninstall_keep_the_crd_and_all_targets(demo: DemoCluster, newer_chart: Path) -> None:
    before = uids(demo)
    assert not knows_later(demo)

    spec = json.dumps({"allowEmpty": True, "later": "x", "monitor": {"interval": "30s"}})
    helm(
        demo,
        *("upgrade", RELEASE, str(newer_chart), "--reuse-values"),
        *("--set", "defaultTarget.enabled=true", "--set", f"defaultTarget.name={FIRST}"),
        *("--set-json", f"defaultTarget.spec={spec}"),
    )
    assert uids(demo) == before
    assert knows_later(demo)
    assert first(demo)["spec"]["later"] == "x"
    until("agents of the first target", lambda: agents_of_first(demo))
    accepted = until("what the operator says of the new field", lambda: condition(first(demo), "Accepted"))
    assert accepted["reason"] == "AcceptedWithWarnings"
    assert "spec.later: unknown to this version of the operator. The field is ignored" in accepted["message"]
    for kind in ("job", "configmap", "serviceaccount", "clusterrole", "clusterrolebinding"):
        assert not demo.kubectl.exists(kind, f"{RELEASE}-crds", "--namespace", NAMESPACE), kind

    helm(demo, "rollback", RELEASE)
    assert uids(demo) == before
    assert knows_later(demo), "an older CRD would drop what targets hold"
    until("the first target to go", lambda: not demo.kubectl.exists("mtarget", FIRST, "--namespace", NAMESPACE))
    until("its agents to go", lambda: not agents_of_first(demo))

    helm(
        demo,
        *("upgrade", RELEASE, str(CHART), "--reuse-values"),
        *("--set", "defaultTarget.enabled=true", "--set", f"defaultTarget.name={FIRST}"),
        *("--set-json", 'defaultTarget.spec={"allowEmpty": true}'),
    )
    assert uids(demo) == before
    assert not knows_later(demo)
    until("agents of the first target", lambda: agents_of_first(demo))

    uninstall_metricat(demo.kubectl)
    assert uids(demo) == before
    assert not demo.kubectl.exists("mtarget", FIRST, "--namespace", NAMESPACE)
    until("the first target's agents to go", lambda: not agents_of_first(demo))

    images = [f"image.{part}.{key}={value}" for part, image in demo.images.items() for key, value in named(image)]
    helm(
        demo,
        *("install", RELEASE, str(newer_chart), *SCRAPED, "--set", "defaultTarget.enabled=true"),
        *(
            "--set",
            f"defaultTarget.name={FIRST}",
            "--set-json",
            'defaultTarget.spec={"allowEmpty": true, "later": "y"}',
        ),
        *(word for image in images for word in ("--set-string", image)),
    )
    assert uids(demo) == before
    assert knows_later(demo), "an install brings a changed CRD too, where an older one was left behind"
    ready = condition(first(demo), "Ready")
    assert ready
    assert ready["status"] == "True", "helm install --wait ends when the agents are there"

    settings = (*SCRAPED, *(word for image in images for word in ("--set-string", image)))
    helm(demo, "upgrade", RELEASE, str(CHART), "--reset-values", *settings)  # without the field of the newer chart
    assert uids(demo) == before
    until("the target to be ready", demo.ready)
