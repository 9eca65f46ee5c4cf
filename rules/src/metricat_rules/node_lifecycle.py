"""Alerts and recording rules about the state of nodes in the cluster: under pressure, unhealthy, cordoned, new.

Series of kube-state-metrics and of the operator (if Prometheus scrapes it) are equivalent. If Prometheus has both, they
agree. If it has neither, no node is treated as cordoned or new.
See docs/design/0020.
"""

from metricat_rules.alert import NODE, Alert, Level
from metricat_rules.recording import KEYS, Recording

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
PRESSURES = ("DiskPressure", "MemoryPressure", "PIDPressure")
"""Conditions of a node under which the kubelet evicts pods."""

PROBLEMS = (
    "NetworkUnavailable",
    # node-problem-detector, in its own configuration and in those of AKS and GKE
    "KernelDeadlock",
    "XfsShutdown",
    "ReadonlyFilesystem",
    "CorruptDockerOverlay2",
    "CperHardwareErrorFatal",
    "FrequentKubeletRestart",
    "FrequentDockerRestart",
    "FrequentContainerdRestart",
    "FrequentUnregisterNetDevice",
    "ContainerRuntimeProblem",
    "ContainerRuntimeUnhealthy",
    "KubeletProblem",
    "KubeletUnhealthy",
    "FilesystemCorruptionProblem",
)
"""Further conditions of a node that report a problem if they are True."""

READY = ("Ready", "KernelReady", "NetworkingReady", "StorageReady", "ContainerRuntimeReady", "AcceleratedHardwareReady")
"""Conditions of a node that report a problem if they are not True: the kubelet's, and those of EKS' agent."""

_CREATED = "(kube_node_created or metricat_node_created_timestamp_seconds)"


def _nodes_matching(facts: str) -> str:
    """Return the expression that is 1 for each of the target's nodes in `facts`."""
    return f"count by ({KEYS}) (metricat:node_agent:up{{<selector>}} and on (node) ({facts}))"


def _under_pressure(condition: str) -> str:
    facts = (
        f'kube_node_status_condition{{condition="{condition}",status="true"}} == 1 '
        f'or metricat_node_pressure{{condition="{condition}"}}'
    )
    return f'label_replace({_nodes_matching(facts)}, "condition", "{condition}", "", "")'


RECORDED: tuple[Recording, ...] = (
    # 1 if the agent is scraped; 0 if it is not, or if the operator reports that the node has none.
    Recording("metricat:node_agent:up", f"{_UP} == 0 or on (node) {_MISSING} or on (node) {_UP}"),
    Recording("metricat:node:cordoned", _nodes_matching(_OUT_OF_SERVICE)),
    Recording("metricat:node:pressure", " or ".join(map(_under_pressure, PRESSURES))),
    Recording("metricat:node:new", _nodes_matching(f"time() - {_CREATED} < 900")),
)

INHIBITED_BY = "NodeCordoned|NodeNew"
"""Names of the alerts that inhibit others. If one of them is disabled, no alerts about its nodes are inhibited."""

_CORDONED = "max_over_time(metricat:node:cordoned{<selector>}[%s]) > 0"
"""Cordoned within this time. When a node is removed, its alerts keep firing, but no series still reports that it
was cordoned. So it is treated as cordoned for as long as any of its alerts can keep firing, unless it returns in any
pool. The 5 minutes last until its agent is treated as missing."""

_WHY = (
    "{{ with printf `topk(1, metricat_node_cordoned{node=%q})` $labels.node | query }}"
    " ({{ (first .).Labels.reason }}){{ end }}"
)
_OF_PROBLEMS = f'condition=~"{"|".join(PROBLEMS)}"'
_OF_READY = f'condition=~"{"|".join(READY)}"'
_PROBLEM = (
    "metricat_node_condition "
    f'or kube_node_status_condition{{{_OF_PROBLEMS},status="true"}} == 1 '
    f'or kube_node_status_condition{{{_OF_READY},status="true"}} == bool 0 == 1'
)
_REASON = (
    "{{ with printf `topk(1, metricat_node_condition{node=%q,condition=%q})` $labels.node $labels.condition | query }}"
    ": {{ (first .).Labels.reason }}{{ end }}"
)
_INHIBITION = (
    "While this alert fires, Alertmanager inhibits the target's other alerts about the node, except NodeCordoned and "
    "NodeNew. This requires Metricat's inhibition rules (spec.notifications, or docs/alertmanager.md)."
)

ALERTS: tuple[Alert, ...] = (
    Alert(
        name="NodePressureEviction",
        meaning="The kubelet reports DiskPressure, MemoryPressure or PIDPressure. Under these conditions, the kubelet "
        "evicts pods, and a taint keeps most new pods off the node. The alert fires only if Prometheus scrapes "
        "kube-state-metrics or the operator.",
        expr="metricat:node:pressure{<selector>} > 0",
        resource="{{ $labels.condition }}",
        summary="The kubelet on {{ $labels.node }} evicts pods: {{ $labels.condition }}",
        description=f"{NODE} has the condition {{{{ $labels.condition }}}}: the kubelet evicts pods.",
        action="Run kubectl describe node {{ $labels.node }}. Its events name the resource that ran out, and the "
        "evicted pods.",
        levels=(Level("warning", None, "0s"),),
    ),
    Alert(
        name="NodeUnhealthy",
        meaning="A condition of the node reports a problem: the node is not ready, its network is unavailable, or a "
        "program such as node-problem-detector detected a problem. An example is KernelDeadlock. "
        "NodePressureEviction reports DiskPressure, MemoryPressure and PIDPressure. The alert fires only if Prometheus "
        "scrapes kube-state-metrics or the operator.",
        expr=f"max by (node, condition) ({_PROBLEM}) * on (node) group_left (namespace, service, pool) "
        f"topk by (node) (1, max by ({KEYS}) (metricat:node_agent:up{{<selector>}} >= bool 0)) > 0",
        resource="{{ $labels.condition }}",
        summary="Condition {{ $labels.condition }} of {{ $labels.node }} reports a problem",
        description=f"The condition {{{{ $labels.condition }}}} of {NODE} reports a problem{_REASON}.",
        action="Run kubectl describe node {{ $labels.node }}. The message of the condition has the details.",
        levels=(Level("warning", None, "5m"),),
    ),
    Alert(
        name="NodeCordoned",
        meaning="The node is cordoned, drained or about to be deleted, or was so within the last 5 minutes. The "
        "alert also fires for up to two hours after such a node is removed. The node is out of service on purpose. "
        f"{_INHIBITION} The alert fires only if Prometheus scrapes kube-state-metrics or the operator.",
        expr=f"{_CORDONED % '5m'} or {_CORDONED % '2h'} "
        'unless on (namespace, service, node) metricat:node_agent:up{namespace="<namespace>",service="<service>"}',
        resource="cordoned",
        summary="{{ $labels.node }} accepts no new pods",
        description=f"{NODE} is cordoned, drained or deleted{_WHY}, or was recently. {_INHIBITION}",
        action="No action if this was expected. kubectl uncordon {{ $labels.node }} puts the node back into service.",
        levels=(Level("info", None, "0s"),),
    ),
    Alert(
        name="NodeNew",
        meaning="The node joined the cluster within the last 15 minutes, and may still pull images and start its "
        f"agent. {_INHIBITION} The alert fires only if Prometheus scrapes kube-state-metrics or the operator.",
        expr="metricat:node:new{<selector>} > 0",
        resource="new",
        summary="{{ $labels.node }} is new",
        description=f"{NODE} joined the cluster within the last 15 minutes. {_INHIBITION}",
        action="No action: the alert ends automatically.",
        levels=(Level("info", None, "0s"),),
    ),
)
