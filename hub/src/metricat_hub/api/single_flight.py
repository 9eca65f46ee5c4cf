"""Shares one evaluation among equal requests that arrive while it runs, such as those of users of the same graph."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import Response

from metricat_hub.model.errors import OverloadedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_OK = 200


class SingleFlight:
    """The running evaluations by key."""

    def __init__(self) -> None:
        self.merged = 0
        """Number of requests that got the response of another request."""
        self._running: dict[str, asyncio.Future[Response | OverloadedError | None]] = {}

    async def run(self, key: str, evaluate: Callable[[], Awaitable[Response]]) -> Response:
        """Return the response of `evaluate`, or the response of a running evaluation with this key.

        Requests share only responses with status 200, because others may depend on the headers or the deadline of the
        request. If the client whose request runs the evaluation disconnects, the next request with this key evaluates.
        If the hub is overloaded, all requests with this key get the error.

        Raises:
            OverloadedError: too many queries wait for a thread.
        """
        while (running := self._running.get(key)) is not None:
            await asyncio.wait((running,))
            response = running.result()
            if isinstance(response, OverloadedError):
                raise OverloadedError(str(response), response.seconds)
            if response is not None:
                self.merged += 1
                return _copy(response)
        future: asyncio.Future[Response | OverloadedError | None] = asyncio.get_running_loop().create_future()
        self._running[key] = future
        result: Response | OverloadedError | None = None
        try:
            response = await evaluate()
        except OverloadedError as error:
            result = error
            raise
        else:
            if response.status_code == _OK:
                result = _copy(response)
            return response
        finally:
            if self._running.get(key) is future:
                del self._running[key]
            future.set_result(result)


def _copy(response: Response) -> Response:
    """Return an equal response: middleware changes the headers of each."""
    copied = Response(response.body, response.status_code)
    copied.raw_headers = list(response.raw_headers)
    return copied
