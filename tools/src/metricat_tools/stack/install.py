"""The Prometheus Operator from its own bundle, then one Prometheus and one Alertmanager as its objects."""

import re
import time
from importlib.resources import files

import yaml

from metricat_tools.binaries import module_dir
from metricat_tools.stack.apis import NAMESPACE
from metricat_tools.stack.kubectl import FIELD_MANAGER, Kubectl
from metricat_tools.stack.wait import pods_in_trouble, until

_BUNDLE_NAMESPACE = "default"
_EVIDENCE = ("customresourcedefinition", "prometheuses.monitoring.coreos.com")
_DEPLOYMENT = ("deployment", "prometheus-operator", "--namespace", NAMESPACE)


def install_stack(kubectl: Kubectl) -> None:
    """Apply the stack and return when Prometheus and Alertmanager are ready; nothing changes where all is there.

    A Prometheus Operator that somebody else installed is left alone, and serves ours as well.
    """
    kubectl.apply(namespace())
    if not foreign_operator(kubectl) and not _operator_works(kubectl):
        _install_operator(kubectl)
    kubectl.apply(manifest("prometheus.yaml") + "\n---\n" + manifest("alertmanager.yaml"))
    for kind, what in (("prometheus", "Prometheus"), ("alertmanager", "Alertmanager")):
        until(
            f"waiting for {what}",
            lambda kind=kind: _available(kubectl, f"{kind}.monitoring.coreos.com", "demo", "--namespace", NAMESPACE),  # type: ignore[misc] # mypy: defaults of a lambda
            why=lambda: pods_in_trouble(kubectl, NAMESPACE),
        )


def reload_now(kubectl: Kubectl) -> None:
    """Let kubelet look at Prometheus' configuration now: it does so once a minute, and whenever the pod changes."""
    kubectl.run(
        *("annotate", "pods", "--namespace", NAMESPACE, "--selector=prometheus=demo", "--overwrite"),
        f"metricat.dev/look-again={time.monotonic_ns()}",
    )


def namespace() -> str:
    """The namespace of it all; the agents read the node by hostPath, which only `privileged` allows."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}},
        }
    )


def manifest(name: str) -> str:
    """A manifest file of this package."""
    return files(__package__).joinpath(name).read_text()


def foreign_operator(kubectl: Kubectl) -> bool:
    """Whether the Prometheus Operator's CRDs are there and somebody else applied them."""
    if not kubectl.exists(*_EVIDENCE):
        return False
    managers = kubectl.get(*_EVIDENCE, "--show-managed-fields")["metadata"]["managedFields"]
    return all(entry["manager"] != FIELD_MANAGER for entry in managers)


def adapted(bundle: str) -> tuple[str, str]:
    """The bundle's CRDs, as they are, and the rest, moved into our namespace."""
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
    # The operator looks once, when it starts, which kinds are served.
    kubectl.run("wait", "--for=condition=Established", "--timeout=60s", *_EVIDENCE)
    kubectl.apply(rest)
    until(
        "waiting for the Prometheus Operator",
        lambda: _operator_works(kubectl),
        why=lambda: pods_in_trouble(kubectl, NAMESPACE),
    )


def _operator_works(kubectl: Kubectl) -> bool:
    return kubectl.exists(*_DEPLOYMENT) and _available(kubectl, *_DEPLOYMENT)


def _available(kubectl: Kubectl, *what: str) -> bool:
    """Whether the object's condition `Available` is true for its newest generation."""
    found = kubectl.get(*what)
    return any(
        condition["type"] == "Available"
        and condition["status"] == "True"
        and condition.get("observedGeneration", found["metadata"]["generation"]) == found["metadata"]["generation"]
        for condition in found.get("status", {}).get("conditions", [])
    )
