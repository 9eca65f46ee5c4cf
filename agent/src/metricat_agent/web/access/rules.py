"""Who may ask, and over what: what the files of either kind come to, ready for the guard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from metricat_agent.web.access.rate_limit import Bucket


def no_pass_phrase() -> NoReturn:
    """Refuse a key that wants one, instead of asking a terminal for it."""
    raise ValueError("the key is encrypted; give one without a pass phrase")


@dataclass(frozen=True)
class Web:
    """The rules of one moment."""

    context: ssl.SSLContext | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Hashes of passwords by name."""
    password: str = field(default="", repr=False)
    """``NAME:PASSWORD``, where it is known as such."""
    asks_certificate: bool = False
    """Whether a page is given only to a client whose certificate was verified; the handshake itself asks for none."""
    allowed_names: frozenset[str] | None = None
    """Names of which a client's certificate, if it shows one that we trust, must hold one; None: any will do."""
    bucket: Bucket | None = None
    """What lets requests through, but those of a kubelet; None: all."""
    headers: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    """All files that were read, whose change makes the rules old."""

    @property
    def demands(self) -> tuple[str, ...]:
        """What is asked of a client, in words."""
        asked = {
            "TLS": self.context is not None,
            "client certificates": self.context is not None and self.context.verify_mode.name != "CERT_NONE",
            "certificates of every client": self.context is not None
            and self.context.verify_mode.name == "CERT_REQUIRED",
            "names in client certificates": self.allowed_names is not None,
            "passwords": bool(self.users or self.password),
        }
        return tuple(what for what, is_asked in asked.items() if is_asked)
