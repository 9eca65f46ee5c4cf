"""Install the Prometheus Operator from its own bundle, then one Prometheus object and one Alertmanager object."""

import contextlib
import re
import time
from importlib.resources import files

import yaml

from metricat_tools.binaries import module_dir
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import FIELD_MANAGER, Kubectl, KubectlError
from metricat_tools.stack.wait import pod_problems, until

_BUNDLE_NAMESPACE = "default"
_EVIDENCE = ("customresourcedefinition", "prometheuses.monitoring.coreos.com")
_DEPLOYMENT = ("deployment", "prometheus-operator", "--namespace", NAMESPACE)


def install_stack(kubectl: Kubectl) -> None:
    """Apply the stack and return when Prometheus and Alertmanager are ready. An existing stack stays unchanged.

    An existing Prometheus Operator of the user stays unchanged, and manages our objects too.
    """
    kubectl.apply(namespace())
    if not foreign_operator(kubectl) and not _operator_works(kubectl):
        _install_operator(kubectl)
    kubectl.apply(manifest("prometheus.yaml") + "\n---\n" + manifest("alertmanager.yaml"))
    for kind, what in (("prometheus", "Prometheus"), ("alertmanager", "Alertmanager")):
        until(
            f"waiting for {what}",
            lambda kind=kind: _available(kubectl, f"{kind}.monitoring.coreos.com", "demo", "--namespace", NAMESPACE),  # type: ignore[misc] # mypy: defaults of a lambda
            why=lambda: pod_problems(kubectl, NAMESPACE),
        )


def reload_now(kubectl: Kubectl) -> None:
    """Annotate the pod of Prometheus, so that the kubelet updates its configuration now instead of within a minute."""
    for pod in kubectl.items("pods", "--namespace", NAMESPACE, "--selector=prometheus=demo"):
        if "deletionTimestamp" not in pod["metadata"]:
            with contextlib.suppress(KubectlError):  # the pod may be gone by now
                kubectl.run(
                    *("annotate", "pod", pod["metadata"]["name"], "--namespace", NAMESPACE, "--overwrite"),
                    f"metricat.dev/reloaded-at={time.monotonic_ns()}",
                )


def namespace() -> str:
    """Return the stack's namespace. The agents need hostPath volumes, which only `privileged` allows."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        }
    )


def manifest(name: str) -> str:
    """Return a manifest file of this package."""
    return files(__package__).joinpath(name).read_text()


def foreign_operator(kubectl: Kubectl) -> bool:
    """Return whether the Prometheus Operator's CRDs exist and another field manager applied them."""
    if not kubectl.exists(*_EVIDENCE):
        return False
    managers = kubectl.get(*_EVIDENCE, "--show-managed-fields")["metadata"]["managedFields"]
    return all(entry["manager"] != FIELD_MANAGER for entry in managers)


def adapted(bundle: str) -> tuple[str, str]:
    """Return the bundle's CRDs unchanged, and its other objects moved to our namespace."""
    documents = bundle.split("\n---\n")
    crds = [
        document for document in documents if re.search(r"^kind: CustomResourceDefinition$", document, re.MULTILINE)
    ]
    rest = [
        re.sub(rf"^(\s*namespace): {_BUNDLE_NAMESPACE}$", rf"\1: {NAMESPACE}", document, flags=re.MULTILINE)
        for document in documents
        if document not in crds
    ]
    return "\n---\n".join(crds), "\n---\n".join(rest)


def _install_operator(kubectl: Kubectl) -> None:
    module = module_dir("prometheus-operator", "github.com/prometheus-operator/prometheus-operator")
    crds, rest = adapted((module / "bundle.yaml").read_text())
    kubectl.apply(crds)
    # The operator checks only at its start which kinds the API server serves.
    kubectl.run("wait", "--for=condition=Established", "--timeout=60s", *_EVIDENCE)
    kubectl.apply(rest)
    until(
        "waiting for the Prometheus Operator",
        lambda: _operator_works(kubectl),
        why=lambda: pod_problems(kubectl, NAMESPACE),
    )


def _operator_works(kubectl: Kubectl) -> bool:
    return kubectl.exists(*_DEPLOYMENT) and _available(kubectl, *_DEPLOYMENT)


def _available(kubectl: Kubectl, *what: str) -> bool:
    """Return whether the object's condition `Available` is true for its newest generation."""
    found = kubectl.get(*what)
    return any(
        condition["type"] == "Available"
        and condition["status"] == "True"
        and condition.get("observedGeneration", found["metadata"]["generation"]) == found["metadata"]["generation"]
        for condition in found.get("status", {}).get("conditions", [])
    )
