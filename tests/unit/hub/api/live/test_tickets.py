"""Tickets for live connections."""

from metricat_hub.access.credentials import Credentials
from metricat_hub.api.live.tickets import LIFETIME, Tickets
from support.hub_store import Clock

CREDENTIALS = Credentials("Bearer key")


def test_ticket_returns_the_credentials_once() -> None:
    tickets = Tickets(Clock())
    text, _ = tickets.issue(CREDENTIALS, "key:a")
    assert tickets.redeem(text + "x") is None
    assert tickets.redeem(text) == CREDENTIALS
    assert tickets.redeem(text) is None


def test_ticket_expires() -> None:
    clock = Clock()
    tickets = Tickets(clock)
    (early, expires), (late, _) = tickets.issue(CREDENTIALS, "key:a"), tickets.issue(CREDENTIALS, "key:a")
    assert expires == clock.now + LIFETIME
    clock.now += LIFETIME - 1
    assert tickets.redeem(early) == CREDENTIALS
    clock.now += 1
    assert tickets.redeem(late) is None


def test_client_replaces_only_its_own_oldest_ticket() -> None:
    tickets = Tickets(Clock())
    other, _ = tickets.issue(CREDENTIALS, "key:b")
    own = [tickets.issue(CREDENTIALS, "key:a")[0] for _ in range(21)]
    assert [text for text in own if tickets.redeem(text) is None] == own[:1]
    assert tickets.redeem(other) == CREDENTIALS
