"""The gRPC service `metricat.v1.AlertService`: alert rules and the alert history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from metricat_hub.api.alert_history.endpoints import FIRED, PAGE, RANGE, cursor, position
from metricat_hub.api.grpc.alert_rules import configured
from metricat_hub.api.grpc.calls import statuses
from metricat_hub.api.rest.parameters import LARGEST_PAGE
from metricat_hub.model.alert_history import EpisodeFilter
from metricat_hub.model.errors import InvalidParameterError, StoreUnavailableError
from metricat_hub.protocol.v1 import alerts_pb2 as messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.api.grpc.calls import Calls, Context
    from metricat_hub.model.alert_history import Episode, Position

SERVICE = messages.DESCRIPTOR.services_by_name["AlertService"].full_name
_STATES = {
    messages.ALERT_STATE_PENDING: "pending",
    messages.ALERT_STATE_FIRING: "firing",
    messages.ALERT_STATE_RESOLVED: "resolved",
    messages.ALERT_STATE_INACTIVE: "inactive",
}
_NUMBERS = {name: number for number, name in _STATES.items()}


class AlertService:
    """The service `metricat.v1.AlertService`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._own = calls.own

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return the handlers of the calls."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "ConfigureAlert": grpc.unary_unary_rpc_method_handler(
                self.configure_alert,
                messages.ConfigureAlertRequest.FromString,
                messages.ConfigureAlertResponse.SerializeToString,
            ),
            "GetAlertHistory": grpc.unary_unary_rpc_method_handler(
                self.get_alert_history,
                messages.GetAlertHistoryRequest.FromString,
                messages.GetAlertHistoryResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    async def get_alert_history(
        self, request: messages.GetAlertHistoryRequest, context: Context
    ) -> messages.GetAlertHistoryResponse:
        """Return episodes of alerts."""
        async with statuses(context):
            principal, _ = await self._calls.authorize(context, "read", "api")
            own = self._own.seen_by(principal)
            history = own.alert_history
            if history is None:
                raise StoreUnavailableError("this hub has no alert history; use a hub that evaluates rules")
            wanted = _wanted(request, own.now(), own.namespaces)
            after, limit = _page(request)

            def read() -> messages.GetAlertHistoryResponse:
                found = history.episodes(wanted, after, limit + 1)
                response = messages.GetAlertHistoryResponse(episodes=[_episode(one) for one in found[:limit]])
                if len(found) > limit:
                    response.next_page_token = cursor((found[limit - 1].started, found[limit - 1].number))
                return response

            return await own.threads.run_detached(lambda _: read(), context.time_remaining())

    async def configure_alert(
        self, request: messages.ConfigureAlertRequest, context: Context
    ) -> messages.ConfigureAlertResponse:
        """Create, replace or delete an alert rule, or evaluate it in a dry run."""
        async with statuses(context):
            principal, _ = await self._calls.authorize(context, "edit", "api")
            own = self._own.seen_by(principal)
            return await own.threads.run_detached(
                lambda cancellation: configured(own.alert_rules, request, principal.name, cancellation),
                context.time_remaining(),
            )


def _wanted(request: messages.GetAlertHistoryRequest, now: int, namespaces: frozenset[str] | None) -> EpisodeFilter:
    end = _milliseconds(request.end) if request.HasField("end") else now
    start = _milliseconds(request.start) if request.HasField("start") else end - RANGE
    if start > end:
        raise InvalidParameterError("start", "the start is after the end; set an earlier time")
    states: Sequence[str] = [_STATES.get(one, "") for one in request.states]
    if "" in states:
        raise InvalidParameterError("states", "the list has an unknown state; use values of AlertState")
    return EpisodeFilter(
        start=start,
        end=end,
        states=states or FIRED,
        names=list(request.alerts),
        nodes=list(request.nodes),
        severities=list(request.severities),
        receivers=list(request.receivers),
        namespaces=namespaces,
    )


def _page(request: messages.GetAlertHistoryRequest) -> tuple[Position | None, int]:
    if not 0 <= request.page_size <= LARGEST_PAGE:
        raise InvalidParameterError(
            "page_size", f"{request.page_size} is not a number from 1 to {LARGEST_PAGE}; use for example 100"
        )
    try:
        return position(request.page_token), request.page_size or PAGE
    except ValueError:
        raise InvalidParameterError(
            "page_token", "the value is not a token; send next_page_token of the previous response unchanged"
        ) from None


def _episode(one: Episode) -> messages.AlertEpisode:
    return messages.AlertEpisode(
        fingerprint=one.fingerprint,
        state=_NUMBERS[one.state],
        labels=dict(one.labels),
        annotations=dict(one.annotations),
        value=one.value,
        started=_timestamp(one.started),
        fired=_timestamp(one.fired),
        resolved=_timestamp(one.resolved),
        acknowledged=_timestamp(one.acknowledged),
        acknowledged_by=one.acknowledged_by,
        silenced=_timestamp(one.silenced),
        inhibited=_timestamp(one.inhibited),
        notifications=one.delivered,
        failed_notifications=one.failed,
    )


def _milliseconds(time: Timestamp) -> int:
    return time.seconds * 1000 + time.nanos // 1_000_000


def _timestamp(milliseconds: int | None) -> Timestamp | None:
    if milliseconds is None:
        return None
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)
