"""Access rules, as loaded from a web config file or from Secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from metricat_agent.web.access.rate_limit import TokenBucket


def no_pass_phrase() -> NoReturn:
    """Raise ValueError for an encrypted key, instead of prompting for its pass phrase on a terminal."""
    raise ValueError("the key is encrypted; give one without a pass phrase")


@dataclass(frozen=True)
class AccessRules:
    """The requirements on clients, and the headers of responses."""

    context: ssl.SSLContext | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Password hashes by user name."""
    password: str = field(default="", repr=False)
    """``NAME:PASSWORD``, if the password is known in plain text."""
    requires_certificate: bool = False
    """Whether requests need a verified client certificate; the handshake does not require one."""
    allowed_names: frozenset[str] | None = None
    """Names of which a trusted client certificate must hold at least one; None: any certificate is allowed."""
    bucket: TokenBucket | None = None
    """Rate limit of requests, except for health endpoints; None: no limit."""
    headers: tuple[tuple[str, str], ...] = ()
    tls_files: Mapping[str, str] = field(default_factory=dict)
    """Absolute paths of `cert_file`, `key_file` and `client_ca_file`, as far as they are given."""
    files: tuple[str, ...] = ()
    """All files that were read. The rules are outdated when one changes."""

    @property
    def requirements(self) -> tuple[str, ...]:
        """Names of the requirements on clients."""
        context = self.context
        required = {
            "TLS": context is not None,
            "client certificates": context is not None and context.verify_mode.name != "CERT_NONE",
            "certificates of every client": context is not None and context.verify_mode.name == "CERT_REQUIRED",
            "names in client certificates": self.allowed_names is not None,
            "passwords": bool(self.users or self.password),
        }
        return tuple(name for name, is_required in required.items() if is_required)
