"""The WebSocket at `/api/v1/live`: subscriptions, live values, and the end of the connection."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, NoReturn

import msgspec
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from metricat_hub.access.authenticators import AuthenticationError, PermissionDeniedError
from metricat_hub.api import problems
from metricat_hub.api.authorization import authorize, credentials_of
from metricat_hub.api.live import messages
from metricat_hub.api.live.access import check_namespaces, check_origin, chosen_subprotocol, live_credentials
from metricat_hub.api.live.rounds import TooManyClientsError
from metricat_hub.api.live.transport import transport
from metricat_hub.api.operations import Operation
from metricat_hub.api.problems import Problem, problem_of
from metricat_hub.api.prometheus.parameters import parse_time
from metricat_hub.api.services import services
from metricat_hub.model.errors import HubError, InvalidParameterError
from metricat_hub.model.times import rfc3339
from metricat_hub.use_cases.live import subscription
from metricat_hub.use_cases.metric_names import unit_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.websockets import WebSocket

    from metricat_hub.access.credentials import Credentials
    from metricat_hub.api.live.rounds import Rounds
    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.live import Subscription

PATH = "/api/v1/live"
KEY_INVALID, FORBIDDEN, IDLE, TOO_MANY_MESSAGES = 4401, 4403, 4408, 4429
"""Close codes of the WebSocket: 4000 plus an HTTP status code."""
_NOT_TEXT = 1003
_IDLE_SECONDS = 60
"""Seconds for which a client may be connected without a subscription."""
_MESSAGES_PER_MINUTE = 60
_CHECK_SECONDS = 10
_CLOSE_SECONDS = 5


class _End(Exception):  # noqa: N818 -- not an error of the hub
    """The hub ends the connection."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


async def live(websocket: WebSocket) -> None:
    """Serve one WebSocket client."""
    own = services(websocket)
    try:
        check_origin(websocket, own.settings.live.origins if own.settings else ())
        credentials = live_credentials(websocket, own.tickets)
        principal = websocket.state.principal = await authorize(websocket, "read", credentials)
        rounds = own.rounds.seen_by(principal.namespaces)
        if own.rate_limits:
            await own.rate_limits.admit(websocket, principal, "api")
        rounds.connect()
    except TooManyClientsError as error:
        await _deny(websocket, Problem(503, str(error), {"Retry-After": "10"}))
        return
    except PermissionDeniedError as error:
        await _deny(websocket, Problem(403, str(error)))
        return
    except Problem as problem:
        await _deny(websocket, problem)
        return
    try:
        await websocket.accept(chosen_subprotocol(websocket))
        await _Session(websocket, own, credentials, rounds, principal.namespaces).run()
    except WebSocketDisconnect:
        pass
    finally:
        rounds.disconnect()


async def _deny(websocket: WebSocket, problem: Problem) -> None:
    """Answer the handshake with a response instead of a WebSocket."""
    await websocket.send_denial_response(problems.response(problem, websocket.url.path))


class _Session:
    """The connection of one client."""

    def __init__(
        self,
        websocket: WebSocket,
        own: Services,
        credentials: Credentials,
        rounds: Rounds,
        namespaces: frozenset[str] | None,
    ) -> None:
        self._rounds = rounds
        self._namespaces = namespaces
        self._websocket = websocket
        self._transport = transport(websocket)
        self._own = own
        self._credentials = credentials
        self._sender: asyncio.Task[None] | None = None
        self._subscribed_until = time.monotonic()
        self._minute = 0
        self._received = 0

    async def run(self) -> None:
        """Serve the client until the client or the hub closes the connection."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                await self._receive(tasks)
        except* WebSocketDisconnect:
            pass
        except* _End as group:
            end = group.exceptions[0]
            assert isinstance(end, _End)  # noqa: S101 -- each task raises it directly
            await self._close(end)

    async def _watch(self) -> None:
        """End the connection of a client without valid credentials or without a subscription."""
        while True:
            await asyncio.sleep(min(self._rounds.interval / 1000, _CHECK_SECONDS))
            await self._check()
            now = time.monotonic()
            if self._sender and not self._sender.done():
                self._subscribed_until = now
            elif now - self._subscribed_until > _IDLE_SECONDS:
                raise _End(
                    IDLE,
                    f"the connection had no subscription for {_IDLE_SECONDS} seconds; connect again, and send a "
                    "message of type "
                    "subscribe",
                )

    async def _check(self) -> None:
        try:
            check_namespaces(await self._own.access.authorize(self._credentials, "read"), self._namespaces)
        except AuthenticationError as error:
            raise _End(KEY_INVALID, str(error)) from None
        except PermissionDeniedError as error:
            raise _End(FORBIDDEN, str(error)) from None

    async def _receive(self, tasks: asyncio.TaskGroup) -> NoReturn:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code") or 1005)
            self._count()
            if (text := message.get("text")) is None:
                raise _End(_NOT_TEXT, "the message is binary; send JSON as text")
            try:
                await self._handle(messages.decode(text), tasks)
            except (msgspec.DecodeError, RecursionError) as error:
                await self._send_error(
                    Problem(400, f"the message is not valid: {error}; see docs/hub/live.md for the messages")
                )
            except HubError as error:
                await self._send_error(problem_of(error))

    def _count(self) -> None:
        """End the connection of a client that sends too many messages: each subscription costs a query."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._received = minute, 0
        self._received += 1
        if self._received > _MESSAGES_PER_MINUTE:
            raise _End(TOO_MANY_MESSAGES, f"more than {_MESSAGES_PER_MINUTE} messages within a minute; send fewer")

    async def _handle(self, message: messages.Received, tasks: asyncio.TaskGroup) -> None:
        if isinstance(message, messages.Ping):
            await self._send(messages.Pong(rfc3339(self._own.now())))
        elif isinstance(message, messages.Unsubscribe):
            await self._end_subscription()
            await self._send(messages.Unsubscribed())
        else:
            wanted = subscription(message.metrics, message.nodes)
            since = _since(message.since)
            await self._rounds.check(wanted, since)
            await self._end_subscription()
            await self._send(
                messages.Subscribed(
                    [messages.SubscribedMetric(name, unit_of(name)) for name in wanted.metrics],
                    None if wanted.nodes is None else sorted(wanted.nodes),
                    self._rounds.interval / 1000,
                )
            )
            self._sender = tasks.create_task(self._send_rounds(wanted, since))

    async def _end_subscription(self) -> None:
        if self._sender:
            self._sender.cancel()
            await asyncio.wait([self._sender])
            self._sender = None

    async def _send_rounds(self, wanted: Subscription, since: int | None) -> None:
        deliveries = self._rounds.deliveries(wanted, since, "json", messages.encode_round)
        async with contextlib.aclosing(deliveries):
            try:
                while True:
                    await self._transport.drained()  # first, so that a slow client gets the newest round
                    delivery = await anext(deliveries)
                    await self._check()
                    await self._websocket.send_text(messages.round_text(delivery))
            except HubError as error:
                await self._send_error(problem_of(error))

    async def _send(self, message: msgspec.Struct) -> None:
        await self._websocket.send_text(messages.encode(message))

    async def _send_error(self, problem: Problem) -> None:
        await self._send(messages.Error(problem.status, problem.detail))

    async def _close(self, end: _End) -> None:
        """Report the reason and close the connection; abort it if the client reads nothing."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._send_error(Problem(end.code % 1000 if end.code >= 4000 else 400, end.detail))
                await self._websocket.close(end.code, end.detail.encode()[:120].decode(errors="ignore"))
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            self._transport.abort()


def _since(given: str | float | None) -> int | None:
    """Return a time in milliseconds."""
    if given is None:
        return None
    try:
        return parse_time(str(given))
    except ValueError as error:
        raise InvalidParameterError("since", f"{error}; write for example 2026-01-31T12:00:00Z") from None


class LiveTicket(msgspec.Struct):
    """A ticket for one live connection: `/api/v1/live?ticket=TICKET`."""

    ticket: str
    expires: str


async def live_ticket(request: Request) -> Response:
    """Return a ticket for a live connection."""
    own: Services = request.app.state.services  # the tickets of all clients, also of those with some namespaces
    principal = request.state.principal
    ticket, expires = own.tickets.issue(credentials_of(request), principal.identity)
    body = msgspec.json.encode(LiveTicket(ticket, rfc3339(expires)))
    return Response(body, media_type="application/json")


async def _upgrade_required(_: Request) -> NoReturn:
    raise Problem(426, f"{PATH} is a WebSocket; connect with ws:// or wss://", {"Upgrade": "websocket"})


OPERATIONS = (
    Operation(
        f"{PATH}/ticket",
        live_ticket,
        "Create a ticket for a live connection of a web page",
        "Metrics",
        methods=("POST",),
        result=LiveTicket,
        errors=(503,),
    ),
)
ROUTES: tuple[BaseRoute, ...] = (WebSocketRoute(PATH, live), Route(PATH, _upgrade_required))
