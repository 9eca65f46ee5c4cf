"""The endpoint that receives JSON batches of collectors."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from metricat_hub.api.authorization import require
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services
from metricat_hub.sources.write import json_batch
from metricat_hub.sources.write.errors import DecodeError, TooLargeError
from metricat_hub.use_cases.collect import SequenceConflictError, collect

if TYPE_CHECKING:
    from metricat_hub.api.receiver import Receiver
    from metricat_hub.store.sequence_log import SequenceLog
    from metricat_hub.use_cases.write import SampleWriter

_MINUTE = 60_000
_MOST_CLIENTS = 2000
"""The most collectors whose rates are limited at the same time."""


def route(writer: SampleWriter, receiver: Receiver, log: SequenceLog) -> Route:
    """Return the route."""
    rate = RateLimit(receiver.limits.batches_per_minute)

    @require("write", "writes")
    async def collect_metrics(request: Request) -> Response:
        try:
            return await receiver.run(request, lambda body: _collect(writer, log, rate, request, body))
        except TooLargeError as error:
            raise Problem(413, str(error)) from None
        except DecodeError as error:
            raise Problem(400, str(error)) from None
        except SequenceConflictError as error:
            raise Problem(409, str(error)) from None
        except ClientDisconnect:
            return Response(status_code=400)

    return Route("/api/v1/metrics/collect", collect_metrics, methods=["POST"])


def _collect(writer: SampleWriter, log: SequenceLog, rate: RateLimit, request: Request, body: bytes) -> Response:
    now = services(request).now()
    batch = json_batch.decode(body, now)
    wait = rate.wait((request.state.principal.name, batch.collector), now)
    if wait:
        raise Problem(
            429,
            f"{batch.collector} has sent {rate.most} batches within a minute. Retry after {wait} seconds.",
            {"Retry-After": str(wait)},
        )
    return Response(msgspec.json.encode(collect(writer, log, batch, body)), media_type="application/json")


class RateLimit:
    """Limits the requests of each client within any minute. Thread-safe."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._times: dict[tuple[str, str], deque[int]] = {}
        self._lock = threading.Lock()

    def wait(self, client: tuple[str, str], now: int) -> int:
        """Return 0 and count the request, or the seconds until the next one is accepted. ``now`` is in milliseconds."""
        with self._lock:
            times = self._times.pop(client, deque())
            self._times[client] = times  # the clients that sent nothing for the longest time are first
            while len(self._times) > _MOST_CLIENTS:
                del self._times[next(iter(self._times))]
            while times and times[0] <= now - _MINUTE:
                times.popleft()
            if len(times) >= self.most:
                return (times[0] + _MINUTE - now) // 1000 + 1
            times.append(now)
            return 0
