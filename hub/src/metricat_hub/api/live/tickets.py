"""Tickets: a web page exchanges its credentials for a one-time text, as browsers send no headers with a WebSocket."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.model.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_hub.access.credentials import Credentials

LIFETIME = 30_000
"""Milliseconds until a ticket expires."""
_MOST, _MOST_OF_CLIENT = 10_000, 20


@dataclass(frozen=True, slots=True)
class Ticket:
    """An unused ticket. The hub checks the credentials again at each round, so a revoked key ends the connection."""

    credentials: Credentials
    client: str
    expires: int


class Tickets:
    """Unused tickets, in memory."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._tickets: dict[str, Ticket] = {}

    def issue(self, credentials: Credentials, client: str) -> tuple[str, int]:
        """Return a new ticket, and when it expires in milliseconds since 1970.

        A client has a limited number of tickets. A further ticket removes the client's oldest.

        Raises:
            StoreUnavailableError: all clients together have too many tickets.
        """
        now = self._now()
        self._tickets = {text: one for text, one in self._tickets.items() if one.expires > now}
        own = [text for text, one in self._tickets.items() if one.client == client]
        for text in own[: max(0, len(own) - _MOST_OF_CLIENT + 1)]:
            del self._tickets[text]
        if len(self._tickets) >= _MOST:
            raise StoreUnavailableError(
                f"the hub has {_MOST} unused tickets for live connections, which is the limit; retry later"
            )
        text = secrets.token_urlsafe(32)
        self._tickets[text] = Ticket(credentials, client, now + LIFETIME)
        return text, now + LIFETIME

    def redeem(self, text: str) -> Credentials | None:
        """Use up a ticket; return its credentials, or None if it is unknown, used or expired."""
        found = self._tickets.pop(text, None)
        return found.credentials if found and found.expires > self._now() else None
