"""Install Metricat on a cluster as users do: with its Helm chart."""

import re
from collections.abc import Mapping
from pathlib import Path

from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import Kubectl
from metricat_tools.stack.wait import pod_problems, until

CHART = Path(__file__).resolve().parents[4] / "charts" / "metricat"
RELEASE = "metricat"
SCRAPED = tuple(
    f"--set=operator.{kind}.{value}"
    for kind in ("serviceMonitor", "prometheusRule")
    for value in ("enabled=true", "labels.release=demo")
)
"""Chart values that make the stack's Prometheus scrape the operator, and alert about it."""


HUB = {
    "hub.enabled": "true",
    "hub.web.insecure": "true",
    "hub.alertmanager.url": f"http://alertmanager-demo.{NAMESPACE}.svc:9093",
    "hub.alertmanager.webhook.enabled": "true",
    "hub.alertmanager.webhook.labels.release": "demo",
}
"""Chart values that run the hub over the stack's Prometheus and Alertmanager, without TLS."""
BUSY = {"crds.upgradeJob.activeDeadlineSeconds": "120"}
"""Chart values for a machine whose CPUs are busy: the pod of the Job that applies the CRDs starts slowly."""


def install_metricat(kubectl: Kubectl, images: Mapping[str, str]) -> None:
    """Install or upgrade the release with these images (component -> name) and wait until the operator is ready.

    The hub runs if it has an image. The hub is ready only after a MonitoringTarget names a Prometheus.
    """
    values = {"defaultTarget.enabled": "false", **BUSY, **(HUB if "hub" in images else {})}
    for component, image in images.items():
        repository, tag = split(image)
        values |= {f"image.{component}.repository": repository, f"image.{component}.tag": tag}
    kubectl.helm(
        *("upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace"),
        *SCRAPED,
        *(
            word
            for key, value in sorted(values.items())
            for word in ("--set-string" if "image" in key else "--set", f"{key}={value}")
        ),
    )
    until("waiting for Metricat's operator", lambda: _rolled_out(kubectl), why=lambda: pod_problems(kubectl, NAMESPACE))


def uninstall_metricat(kubectl: Kubectl) -> None:
    """Remove the release. Its CRD stays, and so does every MonitoringTarget."""
    kubectl.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait")


def split(image: str) -> tuple[str, str]:
    """Return an image's repository and tag. The port of a registry is not a tag."""
    found = re.fullmatch(r"(.+?)(?::([^:/]+))?", image)
    return (found[1], found[2] or "latest") if found else (image, "latest")


def _rolled_out(kubectl: Kubectl) -> bool:
    """Return whether every operator Deployment of the release runs its newest template."""
    ours = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component!=hub"
    found = kubectl.items("deployments", "--namespace", NAMESPACE, f"--selector={ours}")
    return bool(found) and all(
        deployment["status"].get("observedGeneration") == deployment["metadata"]["generation"]
        and deployment["status"].get("updatedReplicas", 0) == deployment["spec"]["replicas"]
        and deployment["status"].get("availableReplicas", 0) == deployment["spec"]["replicas"]
        and deployment["status"].get("replicas", 0) == deployment["spec"]["replicas"]
        for deployment in found
    )
