"""All names and labels of objects."""

import hashlib
import re

from metricat_operator import __version__

GROUP = "metricat.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "MonitoringTarget"
PLURAL = "monitoringtargets"
LEADER_FENCE_KIND = "LeaderFence"
LEADER_FENCE_PLURAL = "leaderfences"
FIELD_MANAGER = "metricat-operator"

CLAIM_FIELD_MANAGER = "metricat-operator-claims"
"""Field manager of the condition that an operator writes in a target that an older operator manages."""

FENCED = "does not hold the Lease"
"""Part of the message with which the chart's admission policy rejects a replica that is not the leader."""

SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
"""Regular expression for the name of a Kubernetes object (an RFC 1123 subdomain)."""
MAX_NAME = 253
"""Maximum length of the name of an object."""

LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_TARGET = f"{GROUP}/target"
LABEL_POOL = f"{GROUP}/pool"

OPERATOR_ANNOTATION = f"{GROUP}/operator"
"""On a target: the operator that should manage it, as NAMESPACE/NAME of its Deployment."""

CLAIMS_ANNOTATION = f"{GROUP}/claims"
"""On a LeaderFence: its holder, if the version of the holder claims targets."""

DEFAULT_POOL = "default"
"""The pool of the nodes that match no other pool."""

MONITOR = "monitor"
"""The component label of the ServiceMonitor."""

RULES = "rules"
"""The component label of the PrometheusRules."""

AGENT_CONTAINER = "agent"
METRICS_PORT = "metrics"

_DNS_LABEL = 63
_HASH = 8


def is_object_name(text: str) -> bool:
    """Return whether a Kubernetes object may have this name."""
    return len(text) <= MAX_NAME and re.fullmatch(SUBDOMAIN, text) is not None


def fit(name: str, limit: int = _DNS_LABEL) -> str:
    """Return a DNS label (RFC 1123) for an object name: the name if valid, otherwise a shortened name with a hash."""
    label = re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-")
    if label == name and len(label) <= limit:
        return label
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{label[: limit - _HASH - 1].rstrip('-')}-{digest}"


def child(target: str) -> str:
    """Return the common name of a target's child objects, short enough for the suffixes of DaemonSets and pods."""
    return fit(f"metricat-{target}", 46)


def pool_child(target: str, pool: str) -> str:
    """Return the name of a pool's DaemonSet. The default pool's has the common name of the child objects."""
    return child(target) if pool == DEFAULT_POOL else fit(f"{pool}-{child(target)}", 46)


def rules(target: str, part: int = 0) -> str:
    """Return the name of a PrometheusRule with Metricat's groups. Usually there is only part 0."""
    return f"part-{part + 1}-{child(target)}" if part else child(target)


def extra_rules(target: str) -> str:
    """Return the name of the PrometheusRule with the user's groups.

    It is separate, so an invalid group affects no shipped rule.
    """
    return f"extra-{child(target)}"  # with a suffix, it would be the child name of the target `<target>-extra`


def labels(target: str, component: str) -> dict[str, str]:
    """Return the labels of a child object."""
    return {
        LABEL_NAME: "metricat",
        "app.kubernetes.io/instance": fit(target),
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "metricat",
        "app.kubernetes.io/version": __version__,
        LABEL_MANAGED_BY: FIELD_MANAGER,
        LABEL_TARGET: fit(target),
    }


def is_own_label(key: str) -> bool:
    """Return whether Metricat sets the label itself, so that a target cannot set it."""
    return key in labels("", "")


AGENTS = {LABEL_NAME: "metricat", "app.kubernetes.io/component": "agent"}
"""The labels that select the agents of all targets."""


def agent_selector(target: str) -> dict[str, str]:
    """Return the labels that select a target's agent pods. Never change them: a DaemonSet's selector is immutable."""
    return {**AGENTS, LABEL_TARGET: fit(target)}


def pool_selector(target: str, pool: str) -> dict[str, str]:
    """Return the labels that select the agent pods of one pool."""
    return {**agent_selector(target), LABEL_POOL: pool}


def pod_labels(target: str, pool: str) -> dict[str, str]:
    """Return the labels of an agent pod, without a version: an upgrade must not restart unchanged pods."""
    return {
        **agent_selector(target),
        "app.kubernetes.io/part-of": "metricat",
        LABEL_MANAGED_BY: FIELD_MANAGER,
        LABEL_POOL: pool,
    }


def is_operator_identity(text: str) -> bool:
    """Return whether the text is the NAMESPACE/NAME of an operator."""
    return bool(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?", text))


def metrics_reader(lease: str) -> str:
    """Return the name of the chart's ClusterRole for reading metrics. `lease` is also the release's name."""
    return f"{lease}-metrics-reader"


MANAGED = f"{LABEL_MANAGED_BY}={FIELD_MANAGER}"
"""The label selector of all child objects and agent pods."""
