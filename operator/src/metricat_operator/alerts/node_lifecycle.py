"""Nodes by their state in the cluster: which should have a working agent, and which send no messages.

Series of kube-state-metrics and of the operator (if Prometheus scrapes it) count alike. If Prometheus has both, they
agree. If it has neither, no node counts as cordoned or new. The operator reports at most 50 uncovered nodes.
"""

from metricat_operator.alerts.alert import NODE, Alert, Level
from metricat_operator.alerts.recording import KEYS, Recording

BEFORE_DELETION = (
    "ToBeDeletedByClusterAutoscaler",
    "cloud.google.com/impending-node-termination",
    "karpenter.sh/disrupted",
    "karpenter.sh/disruption",
    "node.cloudprovider.kubernetes.io/shutdown",
    "node.kubernetes.io/out-of-service",
)
"""Taints of nodes that are about to be deleted or shut down, set by autoscalers and cloud providers."""

_UP = f"max by ({KEYS}) (up{{<selector>}})"
_MISSING = (
    'label_replace(label_replace(0 * max by (node, pool) (metricat_node_uncovered{<coverage>,reason!="VirtualNode"}), '
    '"namespace", "<namespace>", "", ""), "service", "<service>", "", "")'
)
_TAINTS = "|".join(taint.replace(".", "[.]") for taint in BEFORE_DELETION)
_OUT_OF_SERVICE = (
    f'kube_node_spec_unschedulable == 1 or kube_node_spec_taint{{key=~"{_TAINTS}"}} or metricat_node_cordoned'
)
_CREATED = "(kube_node_created or metricat_node_created_timestamp_seconds)"


def _of(facts: str) -> str:
    """Return the expression that is 1 for each of the target's nodes in `facts`."""
    return f"count by ({KEYS}) (metricat:node_agent:up{{<selector>}} and on (node) ({facts}))"


RECORDED: tuple[Recording, ...] = (
    # 1 if the agent is scraped; 0 if it is not, or if the operator reports that the node has none.
    Recording("metricat:node_agent:up", f"{_UP} == 0 or on (node) {_MISSING} or on (node) {_UP}"),
    Recording("metricat:node:cordoned", _of(_OUT_OF_SERVICE)),
    Recording("metricat:node:new", _of(f"time() - {_CREATED} < 900")),
)

SILENCED_BY = "NodeCordoned|NodeNew"
"""The alerts below. If one is disabled, its nodes are treated like all others."""

_CORDONED = "max_over_time(metricat:node:cordoned{<selector>}[%s]) > 0"
"""Cordoned within this time. When a node is removed, its alerts keep firing, but no series reports any longer that it
was cordoned. So it counts as cordoned for as long as any of its alerts can keep firing, unless it returns in any pool.
The 5 minutes last until its agent counts as missing."""

_WHY = (
    "{{ with printf `topk(1, metricat_node_cordoned{node=%q})` $labels.node | query }}"
    " ({{ (first .).Labels.reason }}){{ end }}"
)
_SILENCED_NOTE = "While this alert fires, Alertmanager sends no other alert about the node."

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeCordoned",
        meaning="The node is cordoned, drained or about to be deleted, or was so in the last 5 minutes or when it was "
        "removed. While this alert fires, Alertmanager sends no other alert about the node: it is out of service on "
        "purpose. The alert needs kube-state-metrics or the operator to be scraped by Prometheus.",
        expr=f"{_CORDONED % '5m'} or {_CORDONED % '2h'} "
        'unless on (namespace, service, node) metricat:node_agent:up{namespace="<namespace>",service="<service>"}',
        resource="cordoned",
        summary="{{ $labels.node }} accepts no new pods",
        description=f"{NODE} is cordoned, drained or deleted{_WHY}, or was so until now. {_SILENCED_NOTE}",
        action="No action if this was expected. kubectl uncordon {{ $labels.node }} puts the node back into service.",
        levels=(Level("info", None, "0s"),),
    ),
    Alert(
        name="NodeNew",
        meaning="The node joined the cluster within the last 15 minutes. While this alert fires, Alertmanager sends no "
        "other alert about the node: it pulls images, and its agents start. The alert needs kube-state-metrics or the "
        "operator to be scraped by Prometheus.",
        expr="metricat:node:new{<selector>} > 0",
        resource="new",
        summary="{{ $labels.node }} is new",
        description=f"{NODE} joined the cluster within the last 15 minutes. {_SILENCED_NOTE}",
        action="No action: the alert ends automatically.",
        levels=(Level("info", None, "0s"),),
    ),
)
