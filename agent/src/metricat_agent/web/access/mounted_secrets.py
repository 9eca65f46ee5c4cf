"""Makes what the guard needs of Secrets that Kubernetes mounted, each a directory with a file for each key.

A client certificate is verified where one is shown, and asked for by the guard, not in the handshake: a kubelet that
probes has none. The password is there as such, for Prometheus reads the same Secret; a hash would hide nothing, as
every scrape brings the password itself.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metricat_agent.config.loader import SettingError
from metricat_agent.web.access.rules import Web, no_pass_phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_agent.config.settings import Secrets


def load(secrets: Secrets) -> Web:
    """Read what the directories hold; raises `SettingError`, which never shows what is in a file."""
    files = [f"{secrets.tls}/{key}" for key in ("tls.crt", "tls.key") if secrets.tls]
    files += [f"{secrets.client_ca}/ca.crt"] if secrets.client_ca else []
    files += [f"{secrets.basic_auth}/{key}" for key in ("username", "password") if secrets.basic_auth]
    return Web(
        context=_context(secrets) if secrets.tls else None,
        password=_password(secrets.basic_auth) if secrets.basic_auth else "",
        asks_certificate=bool(secrets.client_ca),
        files=tuple(files),
    )


def _context(secrets: Secrets) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with _told(f"--web.tls-secret={secrets.tls}", "tls.crt and the tls.key that belongs to it, as PEM"):
        context.load_cert_chain(f"{secrets.tls}/tls.crt", f"{secrets.tls}/tls.key", no_pass_phrase)
    if secrets.client_ca:
        with _told(f"--web.client-ca-secret={secrets.client_ca}", "ca.crt, as PEM"):
            context.load_verify_locations(f"{secrets.client_ca}/ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _password(folder: str) -> str:
    with _told(f"--web.basic-auth-secret={folder}", "username, without a colon, and password"):
        name, word = _text(f"{folder}/username"), _text(f"{folder}/password")
        if not name or not word or ":" in name:
            raise ValueError("there is no name or no password")
    return f"{name}:{word}"


def _text(path: str) -> str:
    """Return what a file holds, without the end of line that an editor leaves."""
    with open(path, encoding="utf-8") as opened:  # noqa: PTH123 -- texts everywhere else
        return opened.read().strip()


@contextmanager
def _told(where: str, keys: str) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise SettingError(f"{where}: not written in UTF-8; the Secret must hold {keys}") from None
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise SettingError(f"{where}: {error}; the Secret must hold {keys}") from None
