"""Every name and label in one place."""

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

FENCED = "does not hold the Lease"
"""What the API server says to a writer that another has replaced: the words of the chart's admission policy."""

LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_TARGET = f"{GROUP}/target"
LABEL_POOL = f"{GROUP}/pool"

DEFAULT_POOL = "default"
"""The pool of the nodes that no other pool owns."""

AGENT_CONTAINER = "agent"
METRICS_PORT = "metrics"

_DNS_LABEL = 63
_HASH = 8


def fit(name: str, limit: int = _DNS_LABEL) -> str:
    """A DNS label (RFC 1123) for any object name: the name itself where it fits, else cut and told apart by a hash."""
    label = re.sub(r"[^a-z0-9-]", "-", name.lower()).strip("-")
    if label == name and len(label) <= limit:
        return label
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{label[: limit - _HASH - 1].rstrip('-')}-{digest}"


def child(target: str) -> str:
    """The name that a target's children share; room is left for the suffixes that DaemonSets and pods grow."""
    return fit(f"metricat-{target}", 46)


def pool_child(target: str, pool: str) -> str:
    """The DaemonSet of a pool; that of the default pool has the children's common name."""
    return child(target) if pool == DEFAULT_POOL else fit(f"{pool}-{child(target)}", 46)


def rules(target: str, part: int = 0) -> str:
    """A PrometheusRule that holds our groups; all are in the first, where there are not very many."""
    return f"part-{part + 1}-{child(target)}" if part else child(target)


def extra_rules(target: str) -> str:
    """The PrometheusRule that holds the user's own groups, apart from ours: a bad one never takes ours down."""
    return f"extra-{child(target)}"  # in front, or it would be a child's name of the target `<target>-extra`


def labels(target: str, component: str) -> dict[str, str]:
    """The labels of a child."""
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
    """Whether a child's label of this key is set by us, over whatever the target says."""
    return key in labels("", "")


AGENTS = {LABEL_NAME: "metricat", "app.kubernetes.io/component": "agent"}
"""The labels that choose the agents of every target."""


def agent_selector(target: str) -> dict[str, str]:
    """The labels that choose a target's agent pods; a DaemonSet's selector can never change, so these must not."""
    return {**AGENTS, LABEL_TARGET: fit(target)}


def pool_selector(target: str, pool: str) -> dict[str, str]:
    """The labels that choose the agent pods of one pool."""
    return {**agent_selector(target), LABEL_POOL: pool}


def pod_labels(target: str, pool: str) -> dict[str, str]:
    """The labels of an agent pod. No version among them: an upgrade must not roll pods that stay the same."""
    return {
        **agent_selector(target),
        "app.kubernetes.io/part-of": "metricat",
        LABEL_MANAGED_BY: FIELD_MANAGER,
        LABEL_POOL: pool,
    }


def metrics_reader(lease: str) -> str:
    """The chart's ClusterRole for those who read the operator's metrics; the Lease's name is that of the release."""
    return f"{lease}-metrics-reader"


MANAGED = f"{LABEL_MANAGED_BY}={FIELD_MANAGER}"
"""The label selector that finds every child and every agent pod."""
