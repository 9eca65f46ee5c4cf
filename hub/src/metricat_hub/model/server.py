"""The address of a server, and the credentials for it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

EXAMPLE = "https://prometheus.example.org:9090"


@dataclass(frozen=True, slots=True)
class Server:
    """An HTTP server. Secrets are in files, which each request reads again. Empty texts: not configured."""

    url: str
    """Scheme, host, port and the prefix of all paths, without a trailing slash."""
    token_file: str = ""
    token_type: str = "Bearer"  # noqa: S105 -- the type, not a token
    """The scheme before the token in the header Authorization, such as Bearer."""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Further headers, for example ``X-Scope-OrgID``. They may be secrets."""
    timeout: float = 30.0
    """Timeout of a request in seconds."""

    @property
    def shown(self) -> str:
        """The URL for messages, without its query, which may contain a secret."""
        return self.url.partition("?")[0]


def checked_url(text: str) -> str:
    """Check an HTTP URL; return it without a trailing slash. Raise ValueError with a message without secrets."""
    try:
        url = urlsplit(text)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        valid = False
    if not valid or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"not a URL with http or https; write for example {EXAMPLE}")
    if url.username is not None or url.password is not None:
        raise ValueError("the URL contains a user name or password; remove them, and use the settings for credentials")
    if url.fragment:
        raise ValueError("the URL has a fragment (#); remove the fragment")
    return text.rstrip("/")
