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
from metricat_hub.model.errors import HubError
from metricat_hub.sources.write import json_batch
from metricat_hub.sources.write.errors import DecodeError, TooLargeError
from metricat_hub.use_cases.collect import SequenceConflictError, collect

if TYPE_CHECKING:
    from metricat_hub.api.receiver import Receiver
    from metricat_hub.sources.write.json_batch import JsonBatch
    from metricat_hub.store.sequence_log import SequenceLog
    from metricat_hub.use_cases.collect import Collected
    from metricat_hub.use_cases.write import SampleWriter

_MINUTE = 60_000
_MOST_CLIENTS = 2000
"""The most collectors whose requests are counted."""


class TooManyBatchesError(HubError):
    """A collector sends too many batches."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds
        """Seconds until the hub accepts the next batch."""


class BatchCollector:
    """Stores JSON batches of collectors, from REST and gRPC, within a rate limit. Its methods block."""

    def __init__(self, writer: SampleWriter, log: SequenceLog, batches_per_minute: int) -> None:
        self._writer = writer
        self._log = log
        self._rate = RateLimit(batches_per_minute)

    def collect(self, client: str, batch: JsonBatch, content: bytes, now: int) -> Collected:
        """Store the batch of a client; `content` identifies the batch's content, to detect a repeated one.

        Raises:
            TooManyBatchesError: the collector is above its rate limit.
            SequenceConflictError, StoreUnavailableError: see `use_cases.collect`.
        """
        if wait := self._rate.wait((client, batch.collector), now):
            raise TooManyBatchesError(
                f"{batch.collector} has sent {self._rate.most} batches within a minute. Retry after {wait} seconds.",
                wait,
            )
        return collect(self._writer, self._log, batch, content)


def route(collector: BatchCollector, receiver: Receiver) -> Route:
    """Return the route of the endpoint."""

    @require("write", "writes")
    async def collect_metrics(request: Request) -> Response:
        try:
            return await receiver.run(request, lambda body: _collect(collector, request, body))
        except TooLargeError as error:
            raise Problem(413, str(error)) from None
        except DecodeError as error:
            raise Problem(400, str(error)) from None
        except SequenceConflictError as error:
            raise Problem(409, str(error)) from None
        except TooManyBatchesError as error:
            raise Problem(429, str(error), {"Retry-After": str(error.seconds)}) from None
        except ClientDisconnect:
            return Response(status_code=400)

    return Route("/api/v1/metrics/collect", collect_metrics, methods=["POST"])


def _collect(collector: BatchCollector, request: Request, body: bytes) -> Response:
    now = services(request).now()
    found = collector.collect(request.state.principal.name, json_batch.decode(body, now), body, now)
    return Response(msgspec.json.encode(found), media_type="application/json")


class RateLimit:
    """Limits the requests of each client within any minute. Thread-safe."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._times: dict[tuple[str, str], deque[int]] = {}
        self._lock = threading.Lock()

    def wait(self, client: tuple[str, str], now: int) -> int:
        """Count a request within the limit, and return 0; above it, return the seconds to wait. `now` is in ms."""
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
