"""Clients that may read some namespaces get the live values of these namespaces only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from metricat_hub.access.principal import Principal
from support.hub_process import send
from support.hub_store import labels, write
from support.live_client import Client
from support.live_server import now, serving

if TYPE_CHECKING:
    from pathlib import Path

    from metricat_hub.access.credentials import Credentials
    from support.live_server import LiveServer


class Restricted:
    """An authenticator of tokens that are names of teams."""

    def __init__(self) -> None:
        self.namespaces = {team: frozenset((team,)) for team in ("team-a", "team-b")}

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        namespaces = self.namespaces.get(credentials.bearer)
        if namespaces is None:
            return None
        return Principal(credentials.bearer, frozenset(("read",)), kind="kubernetes", namespaces=namespaces)


def fill(server: LiveServer) -> None:
    """Store a metric of both teams, and one of the second."""
    points = [(now() // 1000 * 1000 - at * 1000, 1.0) for at in range(60)]
    store: Any = server.services.store
    own = {labels("shared", node=f"node-of-{team}", namespace=team): points for team in ("team-a", "team-b")}
    write(store, {**own, labels("secret", node="node-of-team-b", namespace="team-b"): points})


def nodes(client: Client) -> list[list[str]]:
    """Return the nodes of each metric of the next round."""
    return [[value["node"] for value in metric["values"]] for metric in client.round()["data"]]


def receive_all(client: Client) -> None:
    while True:
        client.receive()


def test_restricted_client_gets_the_series_of_its_namespaces_only(tmp_path: Path) -> None:
    with serving(tmp_path, authenticators=[Restricted()]) as server:
        fill(server)
        url = f"ws://127.0.0.1:{server.port}/api/v1/live"
        headers = {name: {"Authorization": f"Bearer {name}"} for name in ("team-a", "team-b", server.key)}
        ticket = send(f"http://127.0.0.1:{server.port}/api/v1/live/ticket", b"", headers["team-a"])
        assert ticket.status == 200
        with (
            connect(f"{url}?ticket={ticket.json['ticket']}") as first,
            connect(url, additional_headers=headers["team-b"]) as second,
            connect(url, additional_headers=headers[server.key]) as third,
        ):
            one, two, every = Client(first), Client(second), Client(third)
            assert one.subscribe("shared")["type"] == "subscribed"
            assert two.subscribe("shared", "secret")["type"] == "subscribed"
            assert every.subscribe("shared")["type"] == "subscribed"
            for _ in range(2):
                assert nodes(one) == [["node-of-team-a"]]
                assert nodes(two) == [["node-of-team-b"], ["node-of-team-b"]]
                assert nodes(every) == [["node-of-team-a", "node-of-team-b"]]
            since = (now() // 1000 - 20) * 1000
            assert one.subscribe("shared", since=since / 1000)["type"] == "subscribed"
            assert {tuple(map(tuple, nodes(one))) for _ in range(10)} == {(("node-of-team-a",),)}
        with connect(url, additional_headers=headers["team-a"]) as again:
            answer = Client(again).subscribe("secret")
            assert (answer["type"], "secret" in answer["detail"]) == ("error", True)


def test_connection_ends_when_the_namespaces_of_its_client_change(tmp_path: Path) -> None:
    access = Restricted()
    with serving(tmp_path, authenticators=[access]) as server:
        fill(server)
        url = f"ws://127.0.0.1:{server.port}/api/v1/live"
        with connect(url, additional_headers={"Authorization": "Bearer team-a"}) as connection:
            client = Client(connection)
            client.subscribe("shared")
            assert nodes(client) == [["node-of-team-a"]]
            access.namespaces["team-a"] = frozenset(("team-b",))
            with pytest.raises(ConnectionClosed, match="4403"):
                receive_all(client)


def test_metrics_of_all_namespaces_count_for_one_limit(tmp_path: Path) -> None:
    with serving(tmp_path, authenticators=[Restricted()]) as server:
        rounds = server.services.rounds
        part = rounds.seen_by(frozenset(("team-a",)))
        assert rounds.seen_by(frozenset(("team-a",))) is part
        assert part is not rounds
        rounds.connect()
        part.connect()
        assert rounds.statistics.clients == part.statistics.clients == 2
