"""Access rules from Secrets that Kubernetes mounted, each a directory with a file for each key.

The handshake accepts clients without a certificate, because the kubelet's probes have none, and verifies any
certificate. The authenticator rejects all other requests without a certificate. The password is in plain text because
Prometheus reads the same Secret. A hash would protect nothing, as every scrape sends the password.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metricat_agent.config.loader import SettingError
from metricat_agent.host.ascii_text import BLANKS
from metricat_agent.web.access.rules import AccessRules, no_pass_phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_agent.config.settings import Secrets


def load(secrets: Secrets) -> AccessRules:
    """Return the access rules of Secrets; raise `SettingError`, whose message never shows the content of a file."""
    files = [f"{secrets.tls}/{key}" for key in ("tls.crt", "tls.key") if secrets.tls]
    files += [f"{secrets.client_ca}/ca.crt"] if secrets.client_ca else []
    files += [f"{secrets.basic_auth}/{key}" for key in ("username", "password") if secrets.basic_auth]
    return AccessRules(
        context=_context(secrets) if secrets.tls else None,
        password=_password(secrets.basic_auth) if secrets.basic_auth else "",
        requires_certificate=bool(secrets.client_ca),
        files=tuple(files),
    )


def _context(secrets: Secrets) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with _setting_errors(f"--web.tls-secret={secrets.tls}", "tls.crt and its tls.key, as PEM"):
        context.load_cert_chain(f"{secrets.tls}/tls.crt", f"{secrets.tls}/tls.key", no_pass_phrase)
    if secrets.client_ca:
        with _setting_errors(f"--web.client-ca-secret={secrets.client_ca}", "ca.crt, as PEM"):
            context.load_verify_locations(f"{secrets.client_ca}/ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _password(folder: str) -> str:
    with _setting_errors(f"--web.basic-auth-secret={folder}", "username, without a colon, and password"):
        name, password = _text(f"{folder}/username"), _text(f"{folder}/password")
        if not name or not password or ":" in name:
            raise ValueError("missing or invalid user name or password")
    return f"{name}:{password}"


def _text(path: str) -> str:
    """Return the text of a file without blanks at its ends, such as the end of line that an editor adds."""
    with open(path, encoding="utf-8", newline="") as opened:  # noqa: PTH123 -- all other paths are strings
        return opened.read().strip(BLANKS)


@contextmanager
def _setting_errors(where: str, keys: str) -> Iterator[None]:
    """Turn errors into `SettingError`, with the setting and the keys that the Secret must hold."""
    try:
        yield
    except UnicodeDecodeError:
        raise SettingError(f"{where}: a file is not UTF-8 text; the Secret must hold {keys}") from None
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise SettingError(f"{where}: {error}; the Secret must hold {keys}") from None
