"""Dashboard of the operator: its work, errors and queries."""

from metricat_tools.generate.dashboards.grafana import Board, Panel, PanelRow, Query, Variable
from metricat_tools.generate.dashboards.series import ANYWHERE, RATE


def _quantile(share: float) -> str:
    buckets = f"sum by (le) (rate(metricat_reconcile_duration_seconds_bucket{{{ANYWHERE}}}[{RATE}]))"
    return f"histogram_quantile({share}, {buckets})"


BOARD = Board(
    "operator",
    "Operator",
    "The operator's work. Requires the operator's metrics: set operator.serviceMonitor.enabled in the chart.",
    (Variable("cluster", "cluster", "metricat_leader"),),
    (
        PanelRow(
            "Now",
            (
                Panel(
                    "Leaders",
                    (Query(f"sum(metricat_leader{{{ANYWHERE}}})"),),
                    "stat",
                    width=6,
                    height=4,
                    what="Replicas that hold the Lease: one for each release.",
                ),
                Panel(
                    "Targets waiting",
                    (Query(f"max(metricat_workqueue_depth{{{ANYWHERE}}})"),),
                    "stat",
                    width=6,
                    height=4,
                    what="MonitoringTargets that are due for a reconcile and wait for a worker.",
                ),
                Panel(
                    "Longest time without watch events",
                    (Query(f"max(metricat_watch_last_activity_age_seconds{{{ANYWHERE}}})"),),
                    "stat",
                    "s",
                    6,
                    4,
                    levels=((None, "green"), (120, "orange"), (180, "red")),
                    what="The API server sends a bookmark every minute.",
                ),
                Panel(
                    "Memory",
                    (Query(f"max(process_resident_memory_bytes{{{ANYWHERE}}} and on (instance) metricat_leader{{}})"),),
                    "stat",
                    "bytes",
                    6,
                    4,
                    what="Resident memory of the leader.",
                ),
            ),
        ),
        PanelRow(
            "Work",
            (
                Panel(
                    "Reconciles a second",
                    (
                        Query(f"sum(rate(metricat_reconcile_duration_seconds_count{{{ANYWHERE}}}[{RATE}]))", "all"),
                        Query(
                            f"sum by (reason) (rate(metricat_reconcile_errors_total{{{ANYWHERE}}}[{RATE}]))",
                            "{{reason}}",
                        ),
                    ),
                    unit="ops",
                    what="Reconciles, and failed ones by reason.",
                    empty="No reconcile in this time range",
                ),
                Panel(
                    "Reconcile duration",
                    tuple(Query(_quantile(share), f"p{share * 100:g}") for share in (0.5, 0.99)),
                    unit="s",
                    what="Median and 99th percentile of the duration of a reconcile.",
                ),
                Panel(
                    "Requests to the API server",
                    (
                        Query(
                            f"sum by (verb, code) (rate(metricat_rest_client_requests_total{{{ANYWHERE}}}[{RATE}]))",
                            "{{verb}} {{code}}",
                        ),
                    ),
                    unit="reqps",
                    what="Requests by verb and HTTP status, without those of kopf.",
                ),
                Panel(
                    "Watches",
                    (Query(f"max by (kind) (metricat_watch_last_activity_age_seconds{{{ANYWHERE}}})", "{{kind}}"),),
                    unit="s",
                    what="Time since each watch received data. The API server sends a bookmark every minute.",
                ),
                Panel(
                    "Tasks and watches",
                    (
                        Query(f"max by (instance) (metricat_asyncio_tasks{{{ANYWHERE}}})", "tasks {{instance}}"),
                        Query(f"sum by (instance) (metricat_watches{{{ANYWHERE}}})", "watches {{instance}}"),
                    ),
                    what="Unfinished asyncio tasks and open watches of a replica. Growth for hours is a leak.",
                ),
            ),
        ),
    ),
)
