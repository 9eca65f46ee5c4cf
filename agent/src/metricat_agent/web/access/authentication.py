"""Keeps out who may not ask: TLS, client certificates and passwords, by a file or by mounted Secrets.

The file has Prometheus' own format (https://prometheus.io/docs/prometheus/latest/configuration/https/). What was read
is read again when it changes; a change that cannot be used is logged and the former state stays. `ssl` and `yaml` are
imported for those alone who ask for them: they weigh 5 MiB.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from metricat_agent.config.loader import SettingError
from metricat_agent.web.http_parser import Answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from metricat_agent.config.settings import Secrets
    from metricat_agent.web.access.rules import Web
    from metricat_agent.web.http_parser import Request

_LOG = logging.getLogger(__name__)
_OPEN = ("/-/healthy", "/-/ready")
"""Paths that need no password and no certificate: a kubelet has none, and they tell nothing."""
_UNKNOWN_USER = "$2b$10$" + "nobodynobodynobodynobu" + "." * 31
_AGAIN = 5
"""Seconds between two tries to read what could not be used: a key may come after the file that names it."""
_Stamp = tuple[int, int, int]


class Guard:
    """The rules of one file, or of some Secrets. Threads share it."""

    def __init__(self, what: str, load: Callable[[], Web], clock: Callable[[], float] = time.monotonic) -> None:
        """Read for the first time; raises `SettingError`. `what` names in the log what is read."""
        self._what = what
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._web = load()
        self._stamps = self._stamped(self._web)
        self._complaint = ""
        self._tried = 0.0
        self._passed: set[tuple[str, str, str]] = set()

    @classmethod
    def by_file(cls, path: str) -> Guard:
        """Return the guard of a file in Prometheus' format; raises `SettingError`."""
        from metricat_agent.web.access import config_file  # noqa: PLC0415 -- imports ssl and yaml

        return cls(path, lambda: config_file.load(path))

    @classmethod
    def by_secrets(cls, secrets: Secrets) -> Guard:
        """Return the guard of mounted Secrets; raises `SettingError`."""
        from metricat_agent.web.access import mounted_secrets  # noqa: PLC0415 -- imports ssl

        return cls("the Secrets", lambda: mounted_secrets.load(secrets))

    @property
    def speaks_tls(self) -> bool:
        """Whether clients must."""
        return self._web.context is not None

    def current(self) -> Web:
        """Return the rules, as the files have them now or last had them in a usable form."""
        with self._lock:
            stamps = self._stamped(self._web)
            if stamps != self._stamps or (self._complaint and self._clock() - self._tried >= _AGAIN):
                self._stamps = stamps
                self._read_again()
            return self._web

    def _read_again(self) -> None:
        """Take what the files have now; complain once, if it cannot be used."""
        self._tried = self._clock()
        try:
            web = self._reloaded()
        except SettingError as error:
            if str(error) != self._complaint:
                _LOG.error("%s; what it said before stays in force", error)
            self._complaint = str(error)
            return
        # files that are named for the first time have no stamp yet; the others' is of before they were read
        self._web, self._stamps = web, {**self._stamped(web), **self._stamps}
        self._stamps = {path: self._stamps[path] for path in web.files}
        self._complaint = ""
        self._passed.clear()
        _LOG.info("read %s again", self._what)

    def _reloaded(self) -> Web:
        """Read again; raises `SettingError`, also if less is asked of clients: a file half written says so too."""
        web = self._load()
        if lost := [what for what in self._web.demands if what not in web.demands]:
            raise SettingError(
                f"{self._what} no longer asks for {' and '.join(lost)}; restart the agent if that is meant"
            )
        return web

    def wrap(self, client: socket.socket) -> tuple[socket.socket, bool]:
        """Shake hands, if TLS is asked for, and tell whether the client showed a certificate that we trust.

        Raises OSError if the client does not come up to it.
        """
        web = self.current()
        if web.context is None:
            return client, False
        secured = web.context.wrap_socket(client, server_side=True)
        shown = secured.getpeercert()
        if shown and web.allowed_names is not None and web.allowed_names.isdisjoint(_names(shown)):
            secured.close()
            raise PermissionError("the client's certificate holds none of client_allowed_sans")
        return secured, bool(shown)

    def refusal(self, request: Request, *, certified: bool = False) -> Answer | None:
        """Return why the request is not answered; None if it is."""
        web = self.current()
        if request.path in _OPEN:
            return None
        if web.bucket is not None and not web.bucket.take():
            return Answer(429, b"too many requests; come back later\n")
        if web.asks_certificate and not certified:
            return Answer(403, b"a client certificate, please\n")
        if (web.users or web.password) and not self._knows(web, request.headers.get("authorization", "")):
            return Answer(401, b"a name and a password, please\n", headers=(("WWW-Authenticate", "Basic"),))
        return None

    def dressed(self, answer: Answer) -> Answer:
        """Return the answer with the headers that the file adds."""
        extra = self._web.headers
        if not extra:
            return answer
        return Answer(answer.status, answer.body, answer.content_type, (*answer.headers, *extra), answer.gzipped)

    def _knows(self, web: Web, authorization: str) -> bool:
        """Tell whether the password is right, in the same time for a name that nobody has."""
        from metricat_agent.web.access import passwords  # noqa: PLC0415 -- imports what only password files need

        name, password = passwords.credentials(authorization)
        if web.password:
            return passwords.same(f"{name.strip()}:{password.strip()}", web.password)
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

    @staticmethod
    def _stamped(web: Web) -> dict[str, _Stamp | None]:
        return {path: _stamp(path) for path in web.files}


def _names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """Give the names that a certificate is for, addresses in their shortest form."""
    import ipaddress  # noqa: PLC0415 -- for those who list names

    for kind, name in certificate.get("subjectAltName", ()):
        yield str(ipaddress.ip_address(name.strip())) if kind == "IP Address" else name


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 -- pathlib would be imported for this alone
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
