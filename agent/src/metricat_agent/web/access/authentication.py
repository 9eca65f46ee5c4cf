"""Authentication of clients: TLS, client certificates and passwords, from a web config file or from mounted Secrets.

The web config file has Prometheus' format (https://prometheus.io/docs/prometheus/latest/configuration/https/).
The authenticator reloads its files when they change. It logs a change that it cannot use and keeps the previous rules.
It imports `ssl` and `yaml`, which take 5 MiB of memory, only if they are needed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from metricat_agent.config.loader import SettingError
from metricat_agent.host.ascii_text import BLANKS
from metricat_agent.web.http_parser import Response

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping

    from metricat_agent.config.settings import Secrets
    from metricat_agent.web.access.rules import AccessRules
    from metricat_agent.web.http_parser import Request

_LOG = logging.getLogger(__name__)
_OPEN = ("/-/healthy", "/-/ready")
"""Paths without password and certificate: a kubelet has neither, and these paths expose no data."""
_UNKNOWN_USER = "$2b$10$" + "nobodynobodynobodynobu" + "." * 31
"""A hash that fits no password. Checking it takes as long as checking a hash of a known user, of the usual cost 10."""
_RETRY_SECONDS = 5
"""Seconds between two attempts to load unusable files: a key may be written after the file that names it."""
_Stamp = tuple[int, int, int]


class Authenticator:
    """Authenticates clients by the access rules of a web config file or of mounted Secrets. Thread-safe."""

    def __init__(
        self, source: str, load: Callable[[], AccessRules], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Load the rules; raises `SettingError`. `source` is their name in the log."""
        self._source = source
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._rules = load()
        self._stamps = self._stamped(self._rules)
        self._last_error = ""
        self._last_attempt = 0.0
        self._verified: set[tuple[str, str, str]] = set()

    @classmethod
    def from_file(cls, path: str) -> Authenticator:
        """Return the authenticator of a file in Prometheus' format; raises `SettingError`."""
        from metricat_agent.web.access import config_file  # noqa: PLC0415 -- imports ssl and yaml

        return cls(path, lambda: config_file.load(path))

    @classmethod
    def from_secrets(cls, secrets: Secrets) -> Authenticator:
        """Return the authenticator of mounted Secrets; raises `SettingError`."""
        from metricat_agent.web.access import mounted_secrets  # noqa: PLC0415 -- imports ssl

        return cls("the Secrets", lambda: mounted_secrets.load(secrets))

    @property
    def tls_enabled(self) -> bool:
        """Whether clients must use TLS."""
        return self._rules.context is not None

    def current(self) -> AccessRules:
        """Return the rules of the files as they are now, or as they last were usable."""
        with self._lock:
            stamps = self._stamped(self._rules)
            is_due = self._last_error and self._clock() - self._last_attempt >= _RETRY_SECONDS
            if stamps != self._stamps or is_due:
                self._stamps = stamps
                self._reload()
            return self._rules

    def _reload(self) -> None:
        """Load the files again; log an error once, and keep the previous rules."""
        self._last_attempt = self._clock()
        try:
            rules = self._loaded()
        except SettingError as error:
            if str(error) != self._last_error:
                _LOG.error("%s; the previous rules stay in force", error)
            self._last_error = str(error)
            return
        # newly named files have no stamp yet; the stamps of the others are older than the load
        self._rules, self._stamps = rules, {**self._stamped(rules), **self._stamps}
        self._stamps = {path: self._stamps[path] for path in rules.files}
        self._last_error = ""
        self._verified.clear()
        _LOG.info("reloaded %s", self._source)

    def _loaded(self) -> AccessRules:
        """Load the rules; raises `SettingError`, also if they require less, because a file may be incomplete."""
        rules = self._load()
        if lost := [requirement for requirement in self._rules.requirements if requirement not in rules.requirements]:
            raise SettingError(
                f"{self._source} no longer requires {' and '.join(lost)}; restart the agent if this is intended"
            )
        return rules

    def handshake(self, client: socket.socket) -> tuple[socket.socket, bool]:
        """Perform the TLS handshake if the rules require TLS.

        Return the socket, and whether the client presented a trusted certificate. Raises OSError if the handshake
        fails or the certificate holds none of the allowed names.
        """
        rules = self.current()
        if rules.context is None:
            return client, False
        secured = rules.context.wrap_socket(client, server_side=True)
        certificate = secured.getpeercert()
        if not self.allows(certificate or {}):
            secured.close()
            raise PermissionError("the client's certificate has none of the names in client_allowed_sans")
        return secured, bool(certificate)

    def allows(self, certificate: Mapping[str, Any]) -> bool:
        """Return whether the names in a trusted client certificate are allowed.

        Each of these conditions is sufficient: one of the names is in `client_allowed_sans`; this list is not
        configured; the client sent no certificate (an empty mapping).
        """
        allowed = self._rules.allowed_names
        return not certificate or allowed is None or not allowed.isdisjoint(_names(certificate))

    def user(self, authorization: str) -> str | None:
        """Return the user of a header `Authorization` with a valid password; None for any other header."""
        from metricat_agent.web.access import passwords  # noqa: PLC0415 -- its imports are for password files only

        rules = self.current()
        if not (rules.users or rules.password) or not self._verify(rules, authorization):
            return None
        return passwords.credentials(authorization)[0]

    def reject(self, request: Request, *, certified: bool = False) -> Response | None:
        """Return the response that rejects a request; None if the rules allow it.

        ``certified`` is whether the client presented a trusted certificate.
        """
        rules = self.current()
        if request.path in _OPEN:
            return None
        if rules.bucket is not None and not rules.bucket.take():
            return Response(429, b"too many requests: retry later\n")
        if rules.requires_certificate and not certified:
            return Response(403, b"client certificate required: present one that the configured CA has signed\n")
        if (rules.users or rules.password) and not self._verify(rules, request.headers.get("authorization", "")):
            message = b"user name or password missing or wrong: send both with HTTP Basic authentication\n"
            return Response(401, message, headers=(("WWW-Authenticate", "Basic"),))
        return None

    def with_headers(self, response: Response) -> Response:
        """Return the response with the headers that the web config file adds, if any."""
        extra = self._rules.headers
        if not extra:
            return response
        headers = (*response.headers, *extra)
        return Response(response.status, response.body, response.content_type, headers, response.gzipped)

    def _verify(self, rules: AccessRules, authorization: str) -> bool:
        """Return whether the password is right; an unknown user name takes as long as a wrong password."""
        from metricat_agent.web.access import passwords  # noqa: PLC0415 -- its imports are for password files only

        name, password = passwords.credentials(authorization)
        if rules.password:
            return passwords.equal(f"{name.strip(BLANKS)}:{password.strip(BLANKS)}", rules.password)
        hashed = rules.users.get(name, "")
        key = (name, passwords.fingerprint(password), hashed)
        with self._lock:
            if key in self._verified:  # bcrypt is slow on purpose: once per password, not per scrape
                return True
        right = passwords.matches(password, hashed or _UNKNOWN_USER) and bool(hashed)
        if right:
            with self._lock:
                self._verified.add(key)
        return right

    @staticmethod
    def _stamped(rules: AccessRules) -> dict[str, _Stamp | None]:
        return {path: _stamp(path) for path in rules.files}


def _names(certificate: Mapping[str, Any]) -> Iterator[str]:
    """Yield the subject alternative names of a certificate, IP addresses in their shortest form."""
    import ipaddress  # noqa: PLC0415 -- only for rules with names

    for kind, name in certificate.get("subjectAltName", ()):
        yield str(ipaddress.ip_address(name.strip(BLANKS))) if kind == "IP Address" else name


def _stamp(path: str) -> _Stamp | None:
    """Return modification time, size and inode of a file; None if it does not exist."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- pathlib would be imported for this alone
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
