"""Alerts about the operator itself, and about what only it knows. They are no target's: the chart brings them, once."""

from metricat_operator.alerts.alert import Alert, Level

OPERATOR_ALERTS: tuple[Alert, ...] = (
    Alert(
        name="MetricatNotMonitored",
        meaning="The status of a MonitoringTarget says that its monitoring does not work.",
        expr='max by (target_namespace, target) (metricat_target_condition{type="Monitored",status="False"}) == 1',
        resource="target {{ $labels.target_namespace }}/{{ $labels.target }}",
        summary="MonitoringTarget {{ $labels.target_namespace }}/{{ $labels.target }} does not monitor its nodes",
        description="kubectl get mtarget -n {{ $labels.target_namespace }} {{ $labels.target }} -o wide tells which "
        "link of the chain is broken, and what to do.",
        action="kubectl describe mtarget -n {{ $labels.target_namespace }} {{ $labels.target }}: each "
        "condition's message ends with what to do.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="MetricatNoLeader",
        meaning="No replica of the operator says that it holds the Lease: agents and alerts go on as they are, but no "
        "change and no new node is looked at, and statuses are stale.",
        expr="absent(metricat_leader == 1)",
        resource="operator",
        summary="No replica of Metricat's operator leads",
        description="Prometheus knows of no replica of the operator that holds its Lease: statuses are stale, and "
        "nothing is repaired.",
        action="kubectl get pods -A -l app.kubernetes.io/name=metricat-operator: do they run, and what do "
        "their logs say of the Lease?",
        levels=(Level("warning", None, "5m"),),
    ),
    Alert(
        name="MetricatReconcileFailing",
        meaning="Reconciles fail again and again for the same reason.",
        expr="sum by (reason) (rate(metricat_reconcile_errors_total[10m])) > 0",
        resource="operator {{ $labels.reason }}",
        summary="Reconciles fail: {{ $labels.reason }}",
        description="Reconciles of MonitoringTargets have failed for 15 minutes ({{ $labels.reason }}); the operator's "
        "log and the conditions of the targets name them.",
        action="the operator's log names the target and the whole error.",
        levels=(Level("warning", None, "15m"),),
    ),
    Alert(
        name="MetricatWatchStale",
        meaning="The operator has not heard from the API server about one kind of object, not even a bookmark, which "
        "comes every minute: it works with what it knew before.",
        expr="max by (pod, kind) (metricat_watch_last_activity_age_seconds) > <threshold>",
        resource="operator watch {{ $labels.kind }}",
        summary="{{ $labels.pod }} hears nothing of {{ $labels.kind }}",
        description="The watch of {{ $labels.kind }} in {{ $labels.pod }} has been silent for "
        "{{ $value | humanizeDuration }} (threshold <threshold> s).",
        action="the log of {{ $labels.pod }} says whether lists of that kind fail, and why.",
        unit="s",
        levels=(Level("warning", 180, "5m"),),
    ),
)
