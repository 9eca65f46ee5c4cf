"""Minimal client of a test cluster's API server, with persistent connections."""

import contextlib
import http.client
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from metricat_tools.cluster.pki import CertificateAndKey

_ALREADY = 409
_IDLE = 60.0
"""Seconds after which an idle connection is not used again: the API server closes it after 90."""


class ClusterApiError(Exception):
    """An error of the API server, with its status code and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass
class Api:
    """A client of one API server. Each thread has its own connection."""

    url: str
    authority: Path
    credentials: CertificateAndKey
    timeout: float = 30.0
    _local: threading.local = field(default_factory=threading.local, repr=False)
    _open: list[http.client.HTTPSConnection] = field(default_factory=list, repr=False)

    def ready(self) -> bool:
        """Return whether the API server reports that it is ready."""
        try:
            self.call("GET", "/readyz")
        except (OSError, http.client.HTTPException, ClusterApiError):
            return False
        return True

    def call(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Any:
        """Send a request, twice if the connection breaks. Return the parsed response, or its text if it is not JSON."""
        try:
            status, text = self._send(method, path, body, kind)
        except (http.client.HTTPException, ConnectionError):
            # The server closed an idle connection, or was restarted.
            self._drop()
            status, text = self._send(method, path, body, kind)
        try:
            result = json.loads(text)
        except ValueError:
            result = text.decode(errors="replace")
        if status >= http.client.BAD_REQUEST:
            raise ClusterApiError(status, result.get("message", "") if isinstance(result, dict) else result)
        return result

    def get(self, path: str) -> Any:
        """Return an object or a list, or the text of a response that is not JSON."""
        return self.call("GET", path)

    def create(self, path: str, body: object) -> Any:
        """Create an object, or leave an existing one unchanged."""
        try:
            return self.call("POST", path, body)
        except ClusterApiError as error:
            if error.status != _ALREADY:
                raise
            return None

    def close(self) -> None:
        """Close every thread's connection."""
        while self._open:
            self._open.pop().close()
        self._local = threading.local()

    def _send(self, method: str, path: str, body: object, kind: str) -> tuple[int, bytes]:
        if time.monotonic() - getattr(self._local, "used", 0.0) > _IDLE:
            self._drop()
        self._local.used = time.monotonic()
        connection: http.client.HTTPSConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        data = None if body is None else json.dumps(body).encode()
        try:
            connection.request(method, path, data, {"Content-Type": kind, "Accept": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        connection: http.client.HTTPSConnection | None = self._local.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()
            with contextlib.suppress(ValueError):
                self._open.remove(connection)

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.credentials.certificate, self.credentials.key)
        parts = urlsplit(self.url)
        made = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=self.timeout)
        self._open.append(made)
        return made
