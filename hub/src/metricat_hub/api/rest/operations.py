"""The operations of the REST API."""

from __future__ import annotations

from metricat_hub.api.operations import DURATION, TIME, Operation, Parameter
from metricat_hub.api.rest import metrics, nodes, status, types
from metricat_hub.api.rest.parameters import LARGEST_PAGE, PAGE
from metricat_hub.use_cases import metric_names

_CATEGORIES = ("cpu", "memory", "disk", "network", "filesystem", "process")
_NODE = Parameter("node", "Name of a node; repeat the parameter for several nodes.", many=True)
_DEVICE = Parameter("device", "Name of a device, for example sda or eth0.")
_METRIC = Parameter(
    "metric", "A measure such as cpu_usage_percent, or a metric name such as node_load1.", required=True
)
_METRICS = Parameter(
    "metric", "A measure or a metric name; repeat the parameter for several. Default: all measures.", many=True
)
_LIMIT = Parameter(
    "limit",
    "Maximum number of entries in the response.",
    {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE},
)
_CURSOR = Parameter("cursor", "The value of `next` in the previous response.")
_PAGES = (_LIMIT, _CURSOR)
_ERRORS = (400, 422, 503)

OPERATIONS = (
    Operation(
        "/api/v1/metrics/current",
        metrics.metrics_current,
        "List the newest values of metrics",
        "Metrics",
        parameters=(_METRICS, _NODE, _DEVICE, *_PAGES),
        result=types.Current,
        errors=(*_ERRORS, 404),
    ),
    Operation(
        "/api/v1/metrics/history",
        metrics.metrics_history,
        "List the values of one metric over time",
        "Metrics",
        parameters=(
            _METRIC,
            _NODE,
            _DEVICE,
            Parameter("start", "Start of the time range. Default: one hour before `end`.", TIME),
            Parameter("end", "End of the time range. Default: now.", TIME),
            Parameter(
                "step",
                "Time between two points, for example 5m. Default: the range divided by 300, at least the scrape "
                "interval.",
                DURATION,
            ),
            Parameter(
                "aggregation",
                "How each point summarizes the samples of its step. Default: the newest value.",
                {"type": "string", "enum": list(metric_names.AGGREGATIONS)},
            ),
            *_PAGES,
        ),
        result=types.History,
        errors=(*_ERRORS, 404),
    ),
    Operation(
        "/api/v1/metrics/measures",
        metrics.measures,
        "List all measures",
        "Metrics",
        result=types.Measures,
        errors=(503,),
    ),
    *(
        Operation(
            f"/api/metrics/{category}",
            metrics.of_category(category),
            f"List the newest values of the measures in the category {category}"
            if category != "process"
            else "List the newest values of metrics about processes",
            "Metrics",
            parameters=(_NODE, _DEVICE, *_PAGES),
            result=types.Current,
            errors=_ERRORS,
        )
        for category in _CATEGORIES
    ),
    Operation(
        "/query",
        metrics.query_by_name,
        "List the newest values of one metric",
        "Metrics",
        parameters=(_METRIC, _NODE, _DEVICE, *_PAGES),
        result=types.Current,
        errors=(*_ERRORS, 404),
    ),
    Operation("/api/status", status.status, "Show the state of the hub", "Hub", result=types.Status, errors=(503,)),
    Operation(
        "/api/collectors",
        nodes.collectors,
        "List the collectors of the agents with their state",
        "Hub",
        parameters=(_NODE, *_PAGES),
        result=types.Collectors,
        errors=_ERRORS,
    ),
    Operation(
        "/api/nodes",
        nodes.nodes,
        "List the nodes with samples of node_load1 in the last hour",
        "Hub",
        parameters=_PAGES,
        result=types.Nodes,
        errors=_ERRORS,
    ),
)
