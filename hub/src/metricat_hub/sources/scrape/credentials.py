"""Credentials and TLS settings of a job. Files are read again after they change. All functions block."""

from __future__ import annotations

import base64
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from metricat_hub.sources.scrape.http_client import FetchError

if TYPE_CHECKING:
    from metricat_hub.sources.scrape.config import Credentials, Job, TlsConfig

_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
TLS_VERSIONS = tuple(_VERSIONS)
_State = tuple[tuple[int, int, int], ...]


class JobSecrets:
    """The header Authorization and the TLS context of one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._lock = threading.Lock()
        self._authorization = ""
        self._authorization_state: _State | None = None
        self._context: ssl.SSLContext | None = None
        self._context_state: _State | None = None

    def loaded(self, *, https: bool) -> bool:
        """Return whether `load` needs no thread, because it reads no files."""
        return not self._authorization_files() and not (https and (self._tls_files() or self._context is None))

    def load(self, *, https: bool) -> tuple[str, ssl.SSLContext | None]:
        """Return the header Authorization and the TLS context. The context changes only after a file changes.

        An empty header means no credentials.

        Raises:
            FetchError: a file cannot be read or is not valid.
        """
        with self._lock:
            state = _state(self._authorization_files())
            if state != self._authorization_state:
                self._authorization = self._read_authorization()
                self._authorization_state = state
            if https:
                state = _state(self._tls_files())
                if self._context is None or state != self._context_state:
                    self._context = tls_context(self.job.tls)
                    self._context_state = state
            return self._authorization, self._context if https else None

    def _authorization_files(self) -> tuple[str, ...]:
        job = self.job
        found = [job.authorization.credentials] if job.authorization else []
        if job.basic_auth:
            found = [job.basic_auth.username, job.basic_auth.password]
        return tuple(one.file for one in found if one.file)

    def _tls_files(self) -> tuple[str, ...]:
        tls = self.job.tls
        return tuple(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)

    def _read_authorization(self) -> str:
        if basic := self.job.basic_auth:
            pair = f"{_read(basic.username)}:{_read(basic.password)}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        if authorization := self.job.authorization:
            return f"{authorization.type} {_read(authorization.credentials)}"
        return ""


def tls_context(tls: TlsConfig) -> ssl.SSLContext:
    """Return the TLS context of a client; raise `FetchError` if a setting or a file is not valid."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if tls.ca or tls.ca_file:
            made.load_verify_locations(tls.ca_file or None, cadata=tls.ca or None)
        else:
            made.load_default_certs()
        if tls.cert_file:
            made.load_cert_chain(tls.cert_file, tls.key_file or None, _no_pass_phrase)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        files = ", ".join(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        raise FetchError(f"tls_config: {error}; check {files or 'ca'}") from None
    if tls.insecure_skip_verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE  # nosemgrep: tls-without-verification -- a setting
    made.minimum_version = _VERSIONS[tls.min_version or "TLS12"]
    if tls.max_version:
        made.maximum_version = _VERSIONS[tls.max_version]
    return made


def _no_pass_phrase() -> bytes:
    """Return no pass phrase, so that OpenSSL does not prompt for one at the terminal."""
    return b""


def _read(credentials: Credentials) -> str:
    if not credentials.file:
        return credentials.value
    try:
        return Path(credentials.file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise FetchError(f"{credentials.file} cannot be read: {error}; check the path and the permissions") from None


def _state(files: tuple[str, ...]) -> _State:
    found = []
    for file in files:
        try:
            status = Path(file).stat()
        except OSError as error:
            raise FetchError(f"{file} cannot be read: {error.strerror}; check the path and the permissions") from None
        found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
