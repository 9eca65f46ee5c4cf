"""The operations of the REST API."""

from __future__ import annotations

from metricat_hub.api.operations import DURATION, TIME, Operation, Parameter
from metricat_hub.api.rest import metrics, nodes, status, types
from metricat_hub.api.rest.parameters import LARGEST_PAGE, PAGE
from metricat_hub.use_cases import metric_names

_CATEGORIES = ("cpu", "memory", "disk", "network", "filesystem", "process")
_NODE = Parameter("node", "Name of a node; give it more than once for several nodes.", many=True)
_DEVICE = Parameter("device", "Name of a device, for example sda or eth0.")
_METRIC = Parameter(
    "metric", "A measure such as cpu_usage_percent, or a metric name such as node_load1.", required=True
)
_METRICS = Parameter(
    "metric", "A measure or a metric name. Repeat it for several metrics. Default: all measures.", many=True
)
_LIMIT = Parameter(
    "limit", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE}
)
_CURSOR = Parameter("cursor", "The value of `next` of the page before.")
_PAGES = (_LIMIT, _CURSOR)
_ERRORS = (400, 422, 503)

OPERATIONS = (
    Operation(
        "/api/v1/metrics/current",
        metrics.metrics_current,
        "Newest values",
        "Metrics",
        parameters=(_METRICS, _NODE, _DEVICE, *_PAGES),
        result=types.Current,
        errors=(*_ERRORS, 404),
    ),
    Operation(
        "/api/v1/metrics/history",
        metrics.metrics_history,
        "Values over time",
        "Metrics",
        parameters=(
            _METRIC,
            _NODE,
            _DEVICE,
            Parameter("start", "Start. Default: one hour before the end.", TIME),
            Parameter("end", "End. Default: now.", TIME),
            Parameter("step", "Time between two points. Default: a three-hundredth of the range.", DURATION),
            Parameter(
                "aggregation",
                "How a point summarizes the samples of its step. Default: the newest value.",
                {"type": "string", "enum": list(metric_names.AGGREGATIONS)},
            ),
            *_PAGES,
        ),
        result=types.History,
        errors=(*_ERRORS, 404),
    ),
    Operation(
        "/api/v1/metrics/measures", metrics.measures, "Measures", "Metrics", result=types.Measures, errors=(503,)
    ),
    *(
        Operation(
            f"/api/metrics/{category}",
            metrics.of_category(category),
            f"Newest values about {category}",
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
        "Newest values of one metric",
        "Metrics",
        parameters=(_METRIC, _NODE, _DEVICE, *_PAGES),
        result=types.Current,
        errors=(*_ERRORS, 404),
    ),
    Operation("/api/status", status.status, "State of the hub", "Hub", result=types.Status, errors=(503,)),
    Operation(
        "/api/collectors",
        nodes.collectors,
        "Collectors of the agents",
        "Hub",
        parameters=(_NODE, *_PAGES),
        result=types.Collectors,
        errors=_ERRORS,
    ),
    Operation("/api/nodes", nodes.nodes, "Nodes", "Hub", parameters=_PAGES, result=types.Nodes, errors=_ERRORS),
)
