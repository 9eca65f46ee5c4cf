"""Requests to a Prometheus-compatible HTTP API. Its errors are converted to errors of the hub."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from metricat_hub.model.errors import (
    HubError,
    InvalidQueryError,
    LimitError,
    QueryError,
    QueryTimeoutError,
    StoreUnavailableError,
)
from metricat_hub.remote.http_client import Client, RequestError, Response, TooLargeResponseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.server import Server

MOST_BYTES = 256 << 20
"""The most bytes of a response, enough for 8 million samples."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_SLACK = 5.0
"""Seconds that a request waits after the server's timeout, to receive the server's error message."""
_PARAMETER = re.compile(r'^invalid parameter "?query"?: ')
_SENT_AGAIN = (429, 500, 502, 503, 504)


class Answer(msgspec.Struct):
    """The envelope of a response."""

    status: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    error_type: str = msgspec.field(default="", name="errorType")
    error: str = ""
    warnings: list[str] | None = None
    infos: list[str] | None = None


_DECODER = msgspec.json.Decoder(Answer)


class Api:
    """A client of the Prometheus HTTP API of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._client = Client(server)
        self._why_not = ""

    def post(self, path: str, parameters: Sequence[tuple[str, str]], seconds: float | None = None) -> Answer:
        """Send parameters as a form, whose length is not limited; return the response.

        Args:
            path: the path below ``/api/v1``.
            parameters: names and values; a name may occur more than once.
            seconds: time limit of the server; None: the timeout of the settings.

        Raises:
            HubError: the server sent an error, or no usable response.
        """
        return self._answer("POST", path, parameters, seconds)

    def get(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> Answer:
        """Send parameters in the URL; return the response. It raises the same errors as `post`."""
        return self._answer("GET", path, parameters, None)

    def refuse(self, why: str) -> None:
        """Raise `StoreUnavailableError` with the text `why` for all further requests, until `move` is called."""
        self._why_not = why

    def move(self, url: str) -> None:
        """Send all further requests to another URL."""
        self._why_not = ""
        if url != self.server.url:
            before, self.server = self._client, replace(self.server, url=url)
            self._client = Client(self.server)
            before.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _answer(self, method: str, path: str, parameters: Sequence[tuple[str, str]], seconds: float | None) -> Answer:
        if self._why_not:
            raise StoreUnavailableError(self._why_not)
        form = urlencode(parameters, errors="surrogateescape")
        where, body = (f"/api/v1{path}", form.encode()) if method == "POST" else (f"/api/v1{path}?{form}", None)
        timeout = self.server.timeout if seconds is None else seconds + _SLACK
        try:
            response = self._client.request(
                method, where, body, _FORM if body is not None else {}, timeout=timeout, limit=MOST_BYTES
            )
        except TooLargeResponseError as error:
            raise LimitError(
                f"{self.server.shown}: {error}. Use a shorter time range, a longer step or more label matchers."
            ) from None
        except RequestError as error:
            raise self.unavailable(str(error)) from None
        try:
            found = _DECODER.decode(response.body)
        except msgspec.MsgspecError:
            found = Answer()
        if response.status // 100 == 2 and found.status == "success":
            return found
        raise self._error(response, found)

    def unavailable(self, why: str) -> StoreUnavailableError:
        """Return the error for a server that does not respond."""
        return StoreUnavailableError(f"{self.server.shown} does not respond: {why}. Check the server and --store.url.")

    def invalid(self, what: str) -> StoreUnavailableError:
        """Return the error for a response that is not valid. `what` is the invalid part with the cause."""
        return StoreUnavailableError(
            f"{self.server.shown} sent an invalid {what}. Check that --store.url is the URL of a Prometheus HTTP API."
        )

    def _error(self, response: Response, found: Answer) -> HubError:
        """Return the server's error: of the same kind, and with its message."""
        message, kind, status = found.error or response.text, found.error_type, response.status
        where = self.server.shown
        if status in (401, 403):
            return StoreUnavailableError(
                f"{where} refused the request with {status}: {message}. Check --store.token-file or --store.username."
            )
        if kind == "bad_data" or (status == 400 and found.status == "error"):
            return InvalidQueryError(_PARAMETER.sub("", message))
        if kind == "timeout":
            return QueryTimeoutError(message)
        if (kind == "execution" or status == 422) and found.status == "error":
            return QueryError(message)
        if status in _SENT_AGAIN:
            return StoreUnavailableError(
                f"{where} responds with status {status}: {message}. Retry later, or check the server."
            )
        return StoreUnavailableError(
            f"{where} has no Prometheus HTTP API below the path of --store.url: status {status}, {message}. "
            "Check the URL."
        )
