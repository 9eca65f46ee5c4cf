"""Alerts of a Prometheus with what its Alertmanager does about them, over real connections to servers of JSON."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.model.alerts import fingerprint
from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.server import Server
from metricat_hub.model.times import parse_rfc3339
from metricat_hub.remote.http_client import Client
from metricat_hub.store.prometheus.api import Api
from metricat_hub.use_cases.alertmanager_api import AlertmanagerApi
from metricat_hub.use_cases.remote_alerts import RemoteAlerts
from support.page_server import Page, page_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_hub.use_cases.notifications import AlertView

RULES = "/api/v1/rules?type=alert"
ALERTS = "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true"
ACTIVE_AT = "2026-01-31T12:00:00Z"
FIRED_AT = "2026-01-31T12:04:30Z"
FIVE_MINUTES = 300
EXTERNAL = {"cluster": "berlin"}
"""Labels that Prometheus sends to Alertmanager only."""


def _labels(node: str = "a", **more: str) -> dict[str, str]:
    return {"alertname": "High", "severity": "warning", "namespace": "team-a", "node": node, **more}


def _alert(labels: dict[str, str], state: str = "firing", value: str = "97.5") -> dict[str, Any]:
    return {"labels": labels, "state": state, "activeAt": ACTIVE_AT, "value": value, "annotations": {"summary": "high"}}


def _known(labels: dict[str, str], **status: Any) -> dict[str, Any]:
    return {
        "labels": labels,
        "startsAt": FIRED_AT,
        "fingerprint": f"of {labels['node']}",
        "receivers": [{"name": "on-call"}],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], **status},
    }


def _answer(data: Any) -> Page:
    return Page(json.dumps(data).encode(), "application/json")


@contextmanager
def _remote(
    alerts: list[dict[str, Any]], known: list[dict[str, Any]] | None, rules: Any = None
) -> Iterator[RemoteAlerts]:
    """Return the alerts of servers with these answers; without `known`, no Alertmanager is configured."""
    rule = {"name": "High", "query": "cpu > 90", "duration": FIVE_MINUTES, "alerts": alerts}
    data = {"groups": [{"rules": [rule]}]} if rules is None else rules
    pages = {RULES: [_answer({"status": "success", "data": data})], ALERTS: [_answer(known or [])]}
    with page_server(pages) as server:
        where = Server(f"http://{server.address}")
        api, client = Api(where), Client(where)
        try:
            yield RemoteAlerts(api, None if known is None else AlertmanagerApi(client))
        finally:
            api.close()
            client.close()


def _views(
    alerts: list[dict[str, Any]], known: list[dict[str, Any]] | None, namespaces: frozenset[str] | None = None
) -> list[AlertView]:
    with _remote(alerts, known) as remote:
        return list(remote.views(namespaces))


def test_firing_alert_has_labels_start_and_receivers_of_alertmanager() -> None:
    sent = {**_labels(), **EXTERNAL}
    [view] = _views([_alert(_labels())], [_known(sent)])
    assert view.alert.labels == from_mapping(sent)
    assert view.fingerprint == fingerprint(from_mapping(sent))
    assert (view.alert.active_at, view.alert.fired_at) == (parse_rfc3339(ACTIVE_AT), parse_rfc3339(FIRED_AT))
    assert (view.receivers, view.silenced_by, view.inhibited_by) == (("on-call",), (), "")
    assert (view.alert.value, view.alert.expression) == (97.5, "cpu > 90")
    assert view.alert.annotations == {"summary": "high"}


def test_alert_that_alertmanager_does_not_have_fired_after_the_duration_of_the_rule() -> None:
    nothing: list[dict[str, Any]] = []
    for known in (nothing, None):
        [view] = _views([_alert(_labels())], known)
        assert view.alert.labels == from_mapping(_labels())
        assert view.alert.fired_at == parse_rfc3339(ACTIVE_AT) + FIVE_MINUTES * 1000
        assert view.receivers == ()


def test_pending_alert_has_not_fired() -> None:
    [view] = _views([_alert(_labels(), "pending")], [])
    assert view.alert.fired_at is None


def test_alert_of_alertmanager_matches_only_if_it_has_all_labels() -> None:
    other = _labels(resource="disk")
    [view] = _views([_alert(_labels(resource="cpu"))], [_known({**other, **EXTERNAL})])
    assert view.alert.labels == from_mapping(_labels(resource="cpu"))
    found = _views(
        [_alert(_labels(resource=one)) for one in ("cpu", "disk")],
        [_known({**_labels(resource=one), **EXTERNAL}, silencedBy=[one]) for one in ("disk", "cpu")],
    )
    assert [one.silenced_by for one in found] == [("cpu",), ("disk",)]


def test_inhibiting_alert_has_the_fingerprint_of_the_hub() -> None:
    source = {**_labels("b"), **EXTERNAL}
    known = [_known({**_labels("a"), **EXTERNAL}, inhibitedBy=["of b"]), _known(source)]
    first, _ = _views([_alert(_labels("a")), _alert(_labels("b"))], known)
    assert first.inhibited_by == fingerprint(from_mapping(source))
    # Alertmanager may have removed the inhibiting alert since.
    [alone] = _views([_alert(_labels("a"))], known[:1])
    assert alone.inhibited_by == "of b"


def test_user_with_namespaces_sees_only_their_alerts() -> None:
    alerts = [_alert(_labels("a")), _alert(_labels("b", namespace="team-b")), _alert(_labels("c", namespace=""))]

    def nodes(*namespaces: str) -> list[str]:
        return [dict(one.alert.labels)["node"] for one in _views(alerts, [], frozenset(namespaces))]

    assert nodes("team-a") == ["a"]
    assert nodes("team-b", "team-a") == ["a", "b"]
    assert nodes() == []
    assert len(_views(alerts, [], None)) == 3


@pytest.mark.parametrize(("text", "value"), [("+Inf", math.inf), ("1e+03", 1000.0)])
def test_value_of_prometheus_is_a_number(text: str, value: float) -> None:
    [view] = _views([_alert(_labels(), value=text)], [])
    assert view.alert.value == value


def test_value_that_is_not_a_number_is_nan() -> None:
    [view] = _views([_alert(_labels(), value="?")], [])
    assert view.alert.value is not None
    assert math.isnan(view.alert.value)


def test_server_without_rules_is_named_in_the_error() -> None:
    message = r"http://127\.0\.0\.1:\d+ has no API for rules: .*query"
    rules = {"groups": [{"rules": [{"name": "High"}]}]}
    with _remote([], None, rules) as remote, pytest.raises(StoreUnavailableError, match=message):
        remote.rules()


def test_alertmanager_with_another_answer_is_named_in_the_error() -> None:
    message = r"http://127\.0\.0\.1:\d+ is not an Alertmanager"
    with _remote([], [{"labels": {}}]) as remote, pytest.raises(StoreUnavailableError, match=message):
        remote.views(None)
