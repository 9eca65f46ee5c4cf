"""Nodes as the cluster knows them: which should have an agent that answers, and which nobody need be told of.

What is told by kube-state-metrics, or by the operator where Prometheus scrapes it, counts alike; where both are, they
agree, and where neither is, every node is one like the others. The operator's status lists 50 uncovered nodes at most.
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
"""Taints of nodes that are about to be deleted or shut down, by those who scale or run clusters."""

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
    """1 for each of the target's nodes that is among these."""
    return f"count by ({KEYS}) (metricat:node_agent:up{{<selector>}} and on (node) ({facts}))"


RECORDED: tuple[Recording, ...] = (
    # 1 where the agent is scraped, 0 where it is not, or the operator says that there is none.
    Recording("metricat:node_agent:up", f"{_UP} == 0 or on (node) {_MISSING} or on (node) {_UP}"),
    Recording("metricat:node:cordoned", _of(_OUT_OF_SERVICE)),
    Recording("metricat:node:new", _of(f"time() - {_CREATED} < 900")),
)

SILENCED_BY = "NodeCordoned|NodeNew"
"""The alerts below. Where one is switched off, its nodes are like the others in every respect."""

_CORDONED = "max_over_time(metricat:node:cordoned{<selector>}[%s]) > 0"
"""Within so long. Its alerts linger when a node is taken away, and nobody is left to say that it was cordoned: so it
counts as such unless it comes back, in whatever pool, for as long as any of them may. The minutes are until its agent
is missed too."""

_WHY = (
    "{{ with printf `topk(1, metricat_node_cordoned{node=%q})` $labels.node | query }}"
    " ({{ (first .).Labels.reason }}){{ end }}"
)
_SILENCED_NOTE = "While this fires, Alertmanager tells of no other alert about the node."

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodeCordoned",
        meaning="The node is cordoned, drained or about to be deleted, or was so 5 minutes ago or when it went. While "
        "this fires, Alertmanager tells of no other alert about the node: whoever took it out of service knows. "
        "kube-state-metrics or the operator tell so, where Prometheus scrapes them.",
        expr=f"{_CORDONED % '5m'} or {_CORDONED % '2h'} "
        'unless on (namespace, service, node) metricat:node_agent:up{namespace="<namespace>",service="<service>"}',
        resource="cordoned",
        summary="{{ $labels.node }} takes no new pods",
        description=f"{NODE} is cordoned, drained or deleted{_WHY}, or was so until now. {_SILENCED_NOTE}",
        action="nothing, if it was expected; kubectl uncordon {{ $labels.node }} puts the node back.",
        levels=(Level("info", None, "0s"),),
    ),
    Alert(
        name="NodeNew",
        meaning="The node came to the cluster within the last 15 minutes. While this fires, Alertmanager tells of no "
        "other alert about the node: it pulls images, and its agents start. kube-state-metrics or the operator tell "
        "so, where Prometheus scrapes them.",
        expr="metricat:node:new{<selector>} > 0",
        resource="new",
        summary="{{ $labels.node }} is new",
        description=f"{NODE} came to the cluster within the last 15 minutes. {_SILENCED_NOTE}",
        action="nothing: it ends by itself.",
        levels=(Level("info", None, "0s"),),
    ),
)
