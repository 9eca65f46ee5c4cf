"""Endpoints of receivers: their state, a test message, waiting notifications, and dead letters.

A dead letter is a notification that the hub could not deliver and does not retry.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from metricat_hub.access import audit
from metricat_hub.api.accounts.requests import json_body, principal_of, respond
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services
from metricat_hub.model.times import rfc3339
from metricat_hub.notify.channel_states import ChannelState
from metricat_hub.notify.testing import notification_of_test

if TYPE_CHECKING:
    from starlette.requests import Request

    from metricat_hub.notify.delivery import Delivery
    from metricat_hub.notify.queue import Entry

_TAG = "Receivers"
_PAGE = 100
Time = Annotated[str, Meta(description="Time in UTC, RFC 3339.", examples=["2026-01-31T12:00:00.000Z"])]
Kind = Literal["email", "slack", "pagerduty", "webhook", "alertmanager"]


class ReceiverTest(msgspec.Struct, forbid_unknown_fields=True):
    """The receiver to which the hub sends a test message."""

    receiver: Annotated[str, Meta(max_length=200)] = "default"


class ChannelView(msgspec.Struct):
    """One channel of a receiver. `delivered`, `failed_attempts` and `given_up` count since the start of the hub."""

    name: str
    kind: Kind
    destination: Annotated[str, Meta(description="Destination of the messages, without secrets.")]
    state: Annotated[
        Literal["ok", "failing", "unused"],
        Meta(description="Result of the last attempt to send; unused: no attempt yet."),
    ]
    delivered: int
    failed_attempts: int
    given_up: int
    waiting: int
    last_success: Time | None
    failing_since: Time | None
    error: str


class ReceiverView(msgspec.Struct):
    """A receiver with the state of its channels."""

    name: str
    channels: list[ChannelView]


class Receivers(msgspec.Struct):
    """All receivers in the settings of the hub."""

    data: list[ReceiverView]


class ChannelResult(msgspec.Struct):
    """The result of a test message on one channel."""

    channel: str
    outcome: Literal["delivered", "failed", "rejected"]
    error: str
    milliseconds: int


class ReceiverTestResult(msgspec.Struct):
    """The results of a test message, one for each channel of the receiver."""

    receiver: str
    data: list[ChannelResult]


class NotificationView(msgspec.Struct):
    """A notification in the queue, or a dead letter, for one channel."""

    id: int
    receiver: str
    channel: str
    title: str
    queued: Time
    attempts: int
    last_attempt: Time | None
    next_attempt: Annotated[Time | None, Meta(description="When the hub tries again; null: it does not.")]
    error: str


class QueuedNotifications(msgspec.Struct):
    """The notifications that wait for delivery, the oldest first."""

    data: list[NotificationView]
    total: int


class DeadLetters(msgspec.Struct):
    """A page of dead letters (notifications that the hub no longer tries to deliver), the newest first."""

    data: list[NotificationView]
    next: Annotated[
        str | None, Meta(description="Send it as `cursor` to get the next page; null: this is the last page.")
    ]


class Retried(msgspec.Struct):
    """The number of notifications that are queued again."""

    retried: int


def _delivery(request: Request) -> Delivery:
    found = services(request).delivery
    if found is None:
        raise Problem(
            404,
            "this hub has no receivers, or the client may see only some namespaces and therefore no receivers; "
            "use an API key of a hub that evaluates rules",
        )
    return found


async def list_receivers(request: Request) -> Response:
    """Return the receivers and the state of their channels."""
    delivery = _delivery(request)
    states = delivery.states()
    waiting = [(one.receiver, one.channel) for one in delivery.waiting()]
    data = []
    for name, channels in delivery.channels.items():
        views = []
        for own, channel in channels.items():
            state = states.get((name, own), ChannelState())
            views.append(
                ChannelView(
                    name=own,
                    kind=channel.kind,  # type: ignore[arg-type] # one of the kinds
                    destination=channel.shown,
                    state="failing" if state.error else "ok" if state.delivered else "unused",
                    delivered=state.delivered,
                    failed_attempts=state.failed_attempts,
                    given_up=state.dead,
                    waiting=waiting.count((name, own)),
                    last_success=_time(state.last_success),
                    failing_since=_time(state.failing_since),
                    error=state.error,
                )
            )
        data.append(ReceiverView(name, views))
    return respond(Receivers(data))


async def test_receiver(request: Request) -> Response:
    """Send a test message to each channel of a receiver, and return the results."""
    given = await json_body(request, ReceiverTest)
    delivery, own = _delivery(request), services(request)
    settings = own.settings
    url = settings.external_url if settings else ""
    notification = notification_of_test(given.receiver, os.urandom(8).hex(), own.now(), url)
    results = await run_in_threadpool(partial(delivery.test, notification))
    outcomes = " ".join(f"{one.channel}={one.outcome.result}" for one in results)
    audit.record("receiver.test", who=principal_of(request).name, target=given.receiver, results=outcomes)
    data = [ChannelResult(one.channel, one.outcome.result, one.outcome.error, one.milliseconds) for one in results]
    return respond(ReceiverTestResult(given.receiver, data))


async def list_queued_notifications(request: Request) -> Response:
    """Return the oldest notifications that wait for delivery."""
    waiting = _delivery(request).waiting()
    return respond(QueuedNotifications([_view(one) for one in waiting[:_PAGE]], len(waiting)))


async def list_dead_letters(request: Request) -> Response:
    """Return dead letters, the newest first, from the position in `cursor`."""
    delivery = _delivery(request)
    cursor = request.query_params.get("cursor", "")
    after = _number(cursor) if cursor else 0
    if after is None:
        raise Problem(
            400, "invalid parameter cursor; send the value of `next` in the previous response", parameter="cursor"
        )
    found = await run_in_threadpool(delivery.dead_letters, after, _PAGE + 1)
    following = str(found[_PAGE - 1].id) if len(found) > _PAGE else None
    return respond(DeadLetters([_view(one) for one in found[:_PAGE]], following))


async def retry_dead_letters(request: Request) -> Response:
    """Queue all dead letters again."""
    count = await run_in_threadpool(_delivery(request).retry_all)
    audit.record("dead-letters.retry", who=principal_of(request).name, target="all", count=str(count))
    return respond(Retried(count))


async def retry_dead_letter(request: Request) -> Response:
    """Queue a dead letter again."""
    number = _identifier(request)
    await run_in_threadpool(_delivery(request).retry, number)
    audit.record("dead-letters.retry", who=principal_of(request).name, target=str(number))
    return respond(Retried(1))


async def delete_dead_letter(request: Request) -> Response:
    """Delete a dead letter."""
    number = _identifier(request)
    await run_in_threadpool(_delivery(request).delete, number)
    audit.record("dead-letters.delete", who=principal_of(request).name, target=str(number))
    return Response(status_code=204)


def _identifier(request: Request) -> int:
    text = request.path_params["id"]
    number = _number(text)
    if number is None:
        raise Problem(
            404,
            f"no dead letter has the identifier {text[:100]!r}; list them with: GET /api/v1/notifications/dead-letters",
        )
    return number


def _number(text: str) -> int | None:
    """Return a number from 1 to that of the largest row; None for any other text."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
    return number or None


def _view(entry: Entry) -> NotificationView:
    return NotificationView(
        id=entry.id,
        receiver=entry.receiver,
        channel=entry.channel,
        title=entry.title,
        queued=rfc3339(entry.queued),
        attempts=entry.attempts,
        last_attempt=_time(entry.updated),
        next_attempt=rfc3339(entry.due) if entry.state == "waiting" else None,
        error=entry.error,
    )


def _time(milliseconds: int) -> str | None:
    return rfc3339(milliseconds) if milliseconds else None


_ID = Parameter("id", "Identifier of the dead letter.", where="path")

OPERATIONS = (
    Operation(
        "/api/v1/receivers",
        list_receivers,
        "List the receivers of notifications, and the state of their channels",
        _TAG,
        result=Receivers,
        errors=(404,),
    ),
    Operation(
        "/api/v1/receivers/test",
        test_receiver,
        "Send a test message to each channel of a receiver",
        _TAG,
        scope="admin",
        methods=("POST",),
        request=ReceiverTest,
        result=ReceiverTestResult,
        errors=(400, 404, 413, 415),
        description="For PagerDuty, the test triggers an incident and resolves it immediately.",
    ),
    Operation(
        "/api/v1/notifications/queue",
        list_queued_notifications,
        "List the oldest notifications that wait for delivery",
        _TAG,
        result=QueuedNotifications,
        errors=(404,),
    ),
    Operation(
        "/api/v1/notifications/dead-letters",
        list_dead_letters,
        "List the dead letters: notifications that the hub no longer tries to deliver",
        _TAG,
        parameters=(Parameter("cursor", "The value of `next` in the previous response."),),
        result=DeadLetters,
        errors=(400, 404, 503),
    ),
    Operation(
        "/api/v1/notifications/dead-letters/retry",
        retry_dead_letters,
        "Queue all dead letters again",
        _TAG,
        scope="edit",
        methods=("POST",),
        result=Retried,
        errors=(404, 503),
    ),
    Operation(
        "/api/v1/notifications/dead-letters/{id}/retry",
        retry_dead_letter,
        "Queue a dead letter again",
        _TAG,
        scope="edit",
        methods=("POST",),
        parameters=(_ID,),
        result=Retried,
        errors=(404, 503),
    ),
    Operation(
        "/api/v1/notifications/dead-letters/{id}",
        delete_dead_letter,
        "Delete a dead letter",
        _TAG,
        scope="edit",
        methods=("DELETE",),
        parameters=(_ID,),
        success=204,
        errors=(404, 503),
    ),
)
