"""Who may ask, and over what: TLS, client certificates and passwords from a file in Prometheus' own format.

https://prometheus.io/docs/prometheus/latest/configuration/https/. The file and the certificates that it names are read
again when they change; a change that cannot be used is logged and the former state stays. `ssl` and `yaml` are imported
here alone, and here only by who has such a file: they weigh 5 MiB.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

from metricat_agent.wire import Answer

if TYPE_CHECKING:
    import socket

    from metricat_agent.webconfig import Web
    from metricat_agent.wire import Request

_LOG = logging.getLogger(__name__)
_OPEN = ("/-/healthy", "/-/ready")
"""Paths that need no password: a kubelet has none, and they tell nothing."""
_UNKNOWN_USER = "$2b$10$" + "nobodynobodynobodynobu" + "." * 31
_Stamp = tuple[tuple[int, int, int] | None, ...]


class Guard:
    """The rules of one file. Threads share it."""

    def __init__(self, path: str) -> None:
        """Read the file; raises `WebConfigError`."""
        from metricat_agent import webconfig  # noqa: PLC0415 -- imports ssl and yaml

        self._path = path
        self._load = webconfig.load
        self._error = webconfig.WebConfigError
        self._lock = threading.Lock()
        self._web: Web = self._load(path)
        self._stamp = self._stamped()
        self._passed: set[tuple[str, str, str]] = set()

    @property
    def speaks_tls(self) -> bool:
        """Whether clients must."""
        return self._web.context is not None

    def current(self) -> Web:
        """Return the rules, as the files have them now or last had them in a usable form."""
        with self._lock:
            stamp = self._stamped()
            if stamp != self._stamp:
                self._stamp = stamp
                try:
                    self._web = self._load(self._path)
                    self._passed.clear()
                    self._stamp = self._stamped()
                    _LOG.info("read %s again", self._path)
                except self._error as error:
                    _LOG.error("%s; what it said before stays in force", error)
            return self._web

    def wrap(self, client: socket.socket) -> socket.socket:
        """Shake hands, if TLS is asked for; raises OSError if the client does not come up to it."""
        context = self.current().context
        return client if context is None else context.wrap_socket(client, server_side=True)

    def refusal(self, request: Request) -> Answer | None:
        """Return why the request is not answered; None if it is."""
        web = self.current()
        if not web.users or request.path in _OPEN or self._knows(web, request.headers.get("authorization", "")):
            return None
        return Answer(401, b"a name and a password, please\n", headers=(("WWW-Authenticate", "Basic"),))

    def dressed(self, answer: Answer) -> Answer:
        """Return the answer with the headers that the file adds."""
        extra = self._web.headers
        if not extra:
            return answer
        return Answer(answer.status, answer.body, answer.content_type, (*answer.headers, *extra), answer.gzipped)

    def _knows(self, web: Web, authorization: str) -> bool:
        """Tell whether the password is right, in the same time for a name that nobody has."""
        from metricat_agent import passwords  # noqa: PLC0415 -- imports what only password files need

        name, password = passwords.credentials(authorization)
        hashed = web.users.get(name, "")
        key = (name, passwords.fingerprint(password), hashed)
        with self._lock:
            if key in self._passed:  # bcrypt is slow on purpose: once per password, not per scrape
                return True
        right = passwords.fits(password, hashed or _UNKNOWN_USER) and bool(hashed)
        if right:
            with self._lock:
                self._passed.add(key)
        return right

    def _stamped(self) -> _Stamp:
        return tuple(_stamp(path) for path in (self._path, *self._web.files))


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- pathlib would be imported for this alone
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
