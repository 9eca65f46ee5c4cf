"""The credentials of a request in any protocol: HTTP, WebSocket or gRPC. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of one request."""

    authorization: str = ""
    """The header Authorization, or the gRPC metadata of this name; empty: the client sent none."""
    cookie: str = ""
    """The access token from the page's cookie. Set it only after the request passed the CSRF check."""
    address: str = ""
    """The IP address of the peer."""
    is_local: bool = False
    """Whether the request comes directly from this machine, not through a proxy."""

    @property
    def is_empty(self) -> bool:
        """Whether the client sent no credentials."""
        return not self.authorization and not self.cookie

    @property
    def scheme(self) -> str:
        """The scheme of the header, such as `bearer`, in lower case; empty without a header."""
        return self.authorization.partition(" ")[0].lower()

    @property
    def bearer(self) -> str:
        """The Bearer token; empty: the client sent none."""
        return self.authorization.partition(" ")[2].strip() if self.scheme == "bearer" else ""

    @property
    def basic(self) -> tuple[str, str]:
        """User name and password of Basic authentication; empty texts: the client sent none."""
        if self.scheme != "basic":
            return "", ""
        try:
            given = base64.b64decode(self.authorization.partition(" ")[2].strip(), validate=True).decode()
        except (ValueError, binascii.Error):
            return "", ""
        name, _, password = given.partition(":")
        return name, password
