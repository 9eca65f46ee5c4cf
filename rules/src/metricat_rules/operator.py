"""Alerts about the operator and the status of targets. They belong to no target: the chart installs them once."""

from metricat_rules.alert import Alert, Level

_NOT_SELECTED = (
    'max by (target_namespace, target) (metricat_target_condition{type="NodesSelected",status="False"}) == 1'
)

OPERATOR_ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MetricatNotMonitored",
        meaning="The status of a MonitoringTarget reports that its monitoring does not work.",
        expr='max by (target_namespace, target) (metricat_target_condition{type="Monitored",status="False"}) == 1 '
        f"unless ({_NOT_SELECTED} and max by (target_namespace, target) (metricat_target_nodes_desired) == 0)",
        resource="target {{ $labels.target_namespace }}/{{ $labels.target }}",
        summary="MonitoringTarget {{ $labels.target_namespace }}/{{ $labels.target }} does not monitor its nodes",
        description="A condition of MonitoringTarget {{ $labels.target_namespace }}/{{ $labels.target }} is not "
        "True. Run kubectl get mtarget -n {{ $labels.target_namespace }} {{ $labels.target }} -o wide to see which.",
        action="Run kubectl describe mtarget -n {{ $labels.target_namespace }} {{ $labels.target }}. The message of "
        "each condition names the cause and the remedy.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="MetricatNoNodesSelected",
        meaning="A MonitoringTarget, or one of its pools, has no node. Usual causes are a wrong label in a selector, "
        "another pool or an older MonitoringTarget that owns the nodes, and an autoscaler that has removed them. The "
        "alert does not fire if allowEmpty is true.",
        expr=_NOT_SELECTED,
        resource="target {{ $labels.target_namespace }}/{{ $labels.target }}",
        summary="MonitoringTarget {{ $labels.target_namespace }}/{{ $labels.target }} or one of its pools selects no "
        "node",
        description="Nodes of MonitoringTarget {{ $labels.target_namespace }}/{{ $labels.target }} may be unmonitored, "
        "or have the settings of another pool. The message of the condition NodesSelected names the selector and the "
        "nearest label of the nodes.",
        action="Run kubectl describe mtarget -n {{ $labels.target_namespace }} {{ $labels.target }} and read the "
        "message of NodesSelected.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="MetricatOperatorsOverlap",
        meaning="The operators of several releases watch the same MonitoringTarget. One manages the target, and the "
        "others do not change it. The alert does not fire if the annotation metricat.dev/operator names the operator "
        "that manages the target.",
        expr="max by (target_namespace, target, operator, reason) "
        '(metricat_target_managed_by_other{reason!="NamedOperator"}) == 1',
        resource="target {{ $labels.target_namespace }}/{{ $labels.target }}",
        summary="Several operators watch MonitoringTarget {{ $labels.target_namespace }}/{{ $labels.target }}",
        description="The operator {{ $labels.operator }} manages MonitoringTarget {{ $labels.target_namespace }}/"
        "{{ $labels.target }}. The operator of another release also watches it, but does not change it (reason: "
        "{{ $labels.reason }}). Settings of the other release, such as the image of the agents, have no effect.",
        action="Run kubectl get leaderfences -A to list the operators. Set operator.namespaces so that one operator "
        "watches each namespace, or uninstall one release.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="MetricatNoLeader",
        meaning="No replica of the operator holds the Lease, or Prometheus does not scrape the replica that does. "
        "Without a leader, agents and alerts continue to work. Changes and new nodes are not reconciled, and statuses "
        "are stale.",
        expr="absent(metricat_leader == 1)",
        resource="operator",
        summary="No leader of Metricat's operator is visible in Prometheus",
        description="Prometheus has no sample of an operator replica that holds the Lease. Without a leader, statuses "
        "are stale, and drift is not corrected.",
        action="Run kubectl get pods -A -l app.kubernetes.io/name=metricat-operator. Check whether the pods run, and "
        "what their logs report about the Lease.",
        levels=(Level("warning", None, "5m"),),
    ),
    Alert(
        name="MetricatReconcileFailing",
        meaning="Reconciles fail repeatedly for the same reason.",
        expr="sum by (reason) (rate(metricat_reconcile_errors_total[10m])) > 0",
        resource="operator {{ $labels.reason }}",
        summary="Reconciles fail: {{ $labels.reason }}",
        description="Reconciles of MonitoringTargets have failed for 15 minutes ({{ $labels.reason }}). The operator's "
        "log names the targets. Their conditions hold the cause.",
        action="Read the operator's log: it holds the target's name and the whole error.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="MetricatWatchStale",
        meaning="A watch of the operator has received nothing from the API server, not even a bookmark, which arrives "
        "about every minute. The operator may work with old data.",
        expr="max by (pod, kind) (metricat_watch_last_activity_age_seconds) > <threshold>",
        resource="operator watch {{ $labels.kind }}",
        summary="{{ $labels.pod }} receives no events of {{ $labels.kind }}",
        description="The watch of {{ $labels.kind }} in {{ $labels.pod }} has received no event for "
        "{{ $value | humanizeDuration }} (threshold <threshold> s).",
        action="Delete the pod {{ $labels.pod }} to restart the watch. If the alert returns, check the network "
        "between the pod and the API server.",
        unit="s",
        # The alert fires before the liveness probe restarts the pod, which it does after about 4 minutes.
        levels=(Level("warning", 90, "1m"),),
    ),
)
