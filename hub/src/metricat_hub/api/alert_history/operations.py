"""The operations of the alert history."""

from __future__ import annotations

from metricat_hub.api.alert_history import bodies
from metricat_hub.api.alert_history.endpoints import (
    FORMATS,
    MOST_TOP,
    PAGE,
    TOP,
    alert_history,
    alert_statistics,
    alert_timeline,
)
from metricat_hub.api.alert_history.webhook import alertmanager_webhook
from metricat_hub.api.operations import TIME, Operation, Parameter
from metricat_hub.api.rest.parameters import LARGEST_PAGE
from metricat_hub.model.alert_history import STATES
from metricat_hub.use_cases.alertmanager import AlertmanagerMessage

_TAG = "Alert history"
_FILTER = (
    Parameter("alert", "Name of an alert; repeat the parameter for several.", many=True),
    Parameter("node", "Name of a node; repeat the parameter for several.", many=True),
    Parameter("severity", "Severity of the alert, for example critical; repeat the parameter for several.", many=True),
    Parameter(
        "state",
        "State of the episode; repeat the parameter for several. Default: firing and resolved.",
        {"type": "string", "enum": list(STATES)},
        many=True,
    ),
    Parameter("receiver", "Name of a receiver that was notified; repeat the parameter for several.", many=True),
    Parameter("start", "Select episodes that end after this time. Default: 7 days before `end`.", TIME),
    Parameter("end", "Select episodes that begin before this time. Default: now.", TIME),
)
_PAGES = (
    Parameter(
        "limit",
        "Maximum number of entries in the response.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE, "default": PAGE},
    ),
    Parameter("cursor", "The value of `next` in the previous response; empty: the first entries."),
    Parameter(
        "format",
        "Format of the response. Default: CSV if the client accepts only text/csv, JSON otherwise.",
        {"type": "string", "enum": list(FORMATS)},
    ),
)
_CSV = {"text/csv": {"type": "string"}}


def _listed(path: str, identifier: str) -> Operation:
    return Operation(
        path,
        alert_history,
        "List episodes of alerts",
        _TAG,
        parameters=(*_FILTER, *_PAGES),
        result=bodies.AlertEpisodes,
        result_bodies=_CSV,
        errors=(400, 404, 503),
        identifier=identifier,
        description="The episodes are sorted by start, the newest first. An episode is one period in which an alert "
        "was active.",
    )


OPERATIONS = (
    _listed("/api/v1/alerts/history", "alert_history"),
    _listed("/api/alerts/history", "alert_history_short"),
    Operation(
        "/api/v1/alerts/statistics",
        alert_statistics,
        "Return statistics of alerts",
        _TAG,
        parameters=(
            *_FILTER,
            Parameter(
                "top",
                "Maximum number of entries in each list.",
                {"type": "integer", "minimum": 1, "maximum": MOST_TOP, "default": TOP},
            ),
        ),
        result=bodies.AlertStatistics,
        errors=(400, 404, 503),
    ),
    Operation(
        "/api/v1/alerts/{fingerprint}/history",
        alert_timeline,
        "Return the timeline of an alert",
        _TAG,
        parameters=(
            Parameter(
                "fingerprint", "Fingerprint of the alert, from the list of episodes.", where="path", required=True
            ),
            Parameter("start", "Return events at or after this time. Default: all earlier events.", TIME),
            Parameter("end", "Return events at or before this time. Default: all later events.", TIME),
            *_PAGES,
        ),
        result=bodies.AlertTimeline,
        result_bodies=_CSV,
        errors=(400, 404, 503),
    ),
    Operation(
        "/api/v1/alertmanager/webhook",
        alertmanager_webhook,
        "Receive a message of Alertmanager's webhook, and record its alerts",
        _TAG,
        scope="any",
        methods=("POST",),
        group="writes",
        request=AlertmanagerMessage,
        success=204,
        errors=(400, 404, 413, 415, 503),
        description="Set this URL in a `webhook_config` of Alertmanager. Set `authorization.credentials` to an API key "
        "with the scope `write`, or in a cluster to the token of a ServiceAccount that may `post` to this path.",
    ),
)
