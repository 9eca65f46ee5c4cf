"""Blocking HTTP client with a pool of connections. Thread-safe.

`sources.scrape.http_client` is its counterpart on the event loop. Stores and queries run in threads.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from metricat_hub import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.model.server import Server

_MOST_IDLE = 8
_CHUNK = 1 << 16
_MOST_SECRET = 1 << 16
_MOST_TEXT = 300
_USER_AGENT = f"metricat-hub/{__version__}"


class RequestError(Exception):
    """A request failed, or its response is not usable. The message contains the cause."""


LEAST_SECRET = 8
"""The least characters of a secret that errors do not show. Shorter texts can be parts of other words."""


class TooLargeResponseError(RequestError):
    """The response exceeds the limit of bytes."""


@dataclass(frozen=True, slots=True)
class Response:
    """A response. Header names are in lower case."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        """The first line of the body, shortened; or the reason phrase of the status if the body is empty or HTML."""
        line = self.body[: 4 * _MOST_TEXT].decode("utf-8", "replace").strip().partition("\n")[0][:_MOST_TEXT]
        if not line or line.startswith("<"):
            return self.reason
        return "".join(char if char.isprintable() else " " for char in line)

    @property
    def retry_after(self) -> float | None:
        """The seconds in the header Retry-After, from a number or a date; None without a valid header."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
        except (ValueError, TypeError, OverflowError):
            return None


class Client:
    """A client for one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._url = urlsplit(server.url)
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._context: tuple[tuple[object, ...], ssl.SSLContext] | None = None

    def request(  # noqa: PLR0913 -- the parts of a request
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
        limit: int = 1 << 20,
    ) -> Response:
        """Send a request and return its response. An error status does not raise an error.

        Args:
            method: GET or POST.
            path: the path below the server's URL, with its query.
            body: content of the request.
            headers: further headers.
            timeout: seconds for the whole request; None: the server's timeout.
            limit: the most bytes of a decompressed body.

        Raises:
            RequestError: the server did not send a usable response in time.
            TooLargeResponseError: the body exceeds the limit.
        """
        seconds = self.server.timeout if timeout is None else timeout
        deadline = time.monotonic() + seconds
        try:
            given = {
                "User-Agent": _USER_AGENT,
                "Accept-Encoding": "gzip",
                **dict(self.server.headers),
                **self._authorization(),
                **(headers or {}),
            }
            while True:
                connection, is_reused = self._taken(deadline)
                try:
                    response = self._exchange(connection, (method, self._target(path), body, given), deadline, limit)
                    return self._without_secrets(response, given) if response.status >= 400 else response
                except (http.client.RemoteDisconnected, ConnectionError):
                    connection.close()
                    if not is_reused:  # the server may have closed an idle connection
                        raise
                except BaseException:
                    connection.close()
                    raise
        except TimeoutError as error:
            raise RequestError(f"no complete response within the timeout of {seconds:g} s") from error
        except (OSError, http.client.HTTPException, ValueError, zlib.error) as error:
            raise RequestError(_reason(error)) from error

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _target(self, path: str) -> str:
        """Return the target of a request: the path below the URL's, with the URL's query."""
        whole = f"{self._url.path}{path}" or "/"
        if not self._url.query:
            return whole
        return f"{whole}{'&' if '?' in whole else '?'}{self._url.query}"

    def _taken(self, deadline: float) -> tuple[http.client.HTTPConnection, bool]:
        """Return a connection, and whether it was idle before."""
        remaining = _remaining(deadline)
        with self._lock:
            if self._idle:
                connection = self._idle.pop()
                if connection.sock:
                    connection.sock.settimeout(remaining)
                    return connection, True
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=remaining), False
        context = self._tls()
        if self.server.server_name:
            return _NamedConnection(host, port, remaining, context, self.server.server_name), False
        return http.client.HTTPSConnection(host, port, timeout=remaining, context=context), False

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        request: tuple[str, str, bytes | None, Mapping[str, str]],
        deadline: float,
        limit: int,
    ) -> Response:
        method, path, body, headers = request
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        parts: list[bytes] = []
        size = 0
        inflate = (
            zlib.decompressobj(16 + zlib.MAX_WBITS) if response.headers.get("Content-Encoding") == "gzip" else None
        )
        while True:
            remaining = _remaining(deadline)
            if connection.sock:
                connection.sock.settimeout(remaining)
            data = response.read1(_CHUNK)
            if not data:
                break
            part = inflate.decompress(data, limit - size + 1) if inflate else data
            size += len(part)
            if size > limit:
                connection.close()
                raise TooLargeResponseError(f"the response exceeds {limit} bytes")
            parts.append(part)
        if response.length or (inflate is not None and size and not inflate.eof):
            raise http.client.HTTPException("the response is not complete")
        response.close()  # without this, the connection expects more of it
        if response.will_close:
            connection.close()
        else:
            with self._lock:
                if len(self._idle) < _MOST_IDLE:
                    self._idle.append(connection)
                    connection = None  # type: ignore[assignment] # it belongs to the pool
            if connection is not None:
                connection.close()
        found = {name.lower(): value for name, value in response.headers.items()}
        return Response(response.status, response.reason, found, b"".join(parts))

    def _authorization(self) -> dict[str, str]:
        server = self.server
        if server.token_file:
            return {"Authorization": f"{server.token_type} {read_secret(server.token_file)}"}
        if server.username:
            pair = f"{server.username}:{read_secret(server.password_file)}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {}

    def _without_secrets(self, response: Response, sent: Mapping[str, str]) -> Response:
        """Return an error without the secrets of the request, because a server can repeat them and the hub logs it."""
        found = [value for _, value in self.server.headers]
        found += sent.get("Authorization", "").split()
        found += [self._url.query, *(value for _, value in parse_qsl(self._url.query))]
        body = response.body
        for secret in sorted(found, key=len, reverse=True):
            if len(secret) >= LEAST_SECRET:
                body = body.replace(secret.encode(), b"<secret>")
        return replace(response, body=body)

    def _tls(self) -> ssl.SSLContext:
        """Return the TLS context, a new one when a file has changed."""
        server = self.server
        files = [file for file in (server.ca_file, server.cert_file, server.key_file) if file]
        state = tuple((found.st_mtime_ns, found.st_size, found.st_ino) for found in (Path(one).stat() for one in files))
        with self._lock:
            if self._context is not None and self._context[0] == state:
                return self._context[1]
        context = client_context(
            server.ca_file, server.cert_file, server.key_file, insecure_skip_verify=server.insecure_skip_verify
        )
        with self._lock:
            self._context = state, context
        return context


def client_context(ca_file: str, cert_file: str, key_file: str, *, insecure_skip_verify: bool) -> ssl.SSLContext:
    """Return the TLS context of a client. Empty paths mean the system's CAs, and no client certificate."""
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file:
        context.load_cert_chain(cert_file, key_file or None, lambda: b"")
    if insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # nosemgrep: tls-without-verification -- a setting
    return context


class _NamedConnection(http.client.HTTPSConnection):
    """A connection that verifies a certificate for another name than the host's."""

    def __init__(self, host: str, port: int | None, timeout: float, context: ssl.SSLContext, name: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._own_context, self._name = context, name

    def connect(self) -> None:
        """Connect, and verify the certificate."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._own_context.wrap_socket(self.sock, server_hostname=self._name)


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def read_secret(path: str) -> str:
    """Return the content of a file without surrounding white space.

    Raises:
        OSError: the file cannot be read.
        ValueError: the content is not one line of printable ASCII.
    """
    with Path(path).open(encoding="utf-8") as file:
        text = file.read(_MOST_SECRET).strip()
    if not text.isascii() or not text.isprintable():
        raise ValueError(
            f"{path}: the secret is not one line of printable ASCII; remove line breaks and other characters"
        )
    return text


def _reason(error: Exception) -> str:
    name = getattr(error, "filename", None)
    why = ""
    with suppress(AttributeError):
        why = error.strerror  # type: ignore[attr-defined] # only an OSError has it
    why = why or str(error) or type(error).__name__
    return f"{name}: {why}" if isinstance(name, str) else why
