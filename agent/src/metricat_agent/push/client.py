"""HTTP client of a remote-write receiver."""

from __future__ import annotations

import base64
import http.client
import ssl
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from metricat_agent import __version__
from metricat_agent.host.ascii_text import BLANKS, is_digits
from metricat_agent.push.compression import compressor

if TYPE_CHECKING:
    from metricat_agent.config.push_settings import PushSettings

TIMEOUT = 10.0
"""Seconds for the connection, and for each part of the response."""
_MOST_TEXT = 300
_RETRIED = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
)
"""Client errors that do not mean that the samples are wrong: the key, the address, or the time of the request is."""


class Answer(NamedTuple):
    """The outcome of a remote-write request."""

    status: int
    """0: no response."""
    text: str = ""
    """The first line of the response, or of the error if no response came."""
    retry_after: float | None = None
    """Seconds to wait before the next request, from the header Retry-After."""
    written: int | None = None
    """Number of samples that the receiver stored, if it reports it."""

    @property
    def is_success(self) -> bool:
        """Return whether the receiver has stored everything."""
        return 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Return whether a retry of the same request would have the same result."""
        return 400 <= self.status < 500 and self.status not in _RETRIED


class Client:
    """Sends requests over one connection, which it keeps open. Not thread-safe."""

    def __init__(self, settings: PushSettings) -> None:
        self._settings = settings
        self._url = urlsplit(settings.url)
        self._compress = compressor(settings.compression)
        self._connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes) -> Answer:
        """Send an encoded `prometheus.WriteRequest`; return the outcome, also for an error of the network."""
        is_reused = self._connection is not None
        try:
            return self._request(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            if not is_reused or isinstance(error, TimeoutError):
                return Answer(0, _reason(error))
        try:  # the receiver may have closed the idle connection
            return self._request(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Answer(0, _reason(error))

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _request(self, body: bytes) -> Answer:
        headers = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": self._settings.compression,
            "X-Prometheus-Remote-Write-Version": "0.1.0",
            "User-Agent": f"metricat-agent/{__version__}",
            **self._authorization(),
        }
        if self._connection is None:
            self._connection = self._connect()
        path = self._url.path or "/"
        target = f"{path}?{self._url.query}" if self._url.query else path
        self._connection.request("POST", target, self._compress(body), headers)
        response = self._connection.getresponse()
        text = response.read(_MOST_TEXT).decode("utf-8", "replace")
        if response.read(1 << 16) and response.read(1):
            self.close()  # the rest is not worth the traffic
        written = response.headers.get("X-Prometheus-Remote-Write-Samples-Written", "")
        if response.will_close:
            self.close()
        return Answer(
            response.status,
            _one_line(text) or response.reason,
            _seconds(response.headers.get("Retry-After", "")),
            int(written) if is_digits(written) else None,
        )

    def _authorization(self) -> dict[str, str]:
        """Return the header with the current token or password: the files are read for each request."""
        settings = self._settings
        if settings.token_file:
            return {"Authorization": f"Bearer {_secret(settings.token_file)}"}
        if settings.username:
            pair = f"{settings.username}:{_secret(settings.password_file)}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {}

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        context = ssl.create_default_context(cafile=self._settings.ca_file or None)
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)


def _secret(path: str) -> str:
    """Return the content of a file without surrounding blanks."""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 -- pathlib costs memory
        return file.read(1 << 16).strip(BLANKS)


def _reason(error: Exception) -> str:
    name = getattr(error, "filename", None)
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return f"{name}: {why}" if isinstance(name, str) else str(why)


def _one_line(text: str) -> str:
    """Return the first line of a text, printable."""
    line = text.strip(BLANKS).partition("\n")[0]
    return "".join(char if char.isprintable() else " " for char in line)


def _seconds(text: str) -> float | None:
    """Return the seconds of a Retry-After header, which has a number of them or a date; None for any other text."""
    if is_digits(text):
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
