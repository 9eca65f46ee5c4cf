"""The leader election on a real API server. Each candidate has its own clock."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import LEADER_FENCE, LEASE
from metricat_operator.cluster.lease import DEADLINE, DURATION, Lease
from support.harness import Cluster

NAMESPACE = "monitoring"


class Candidate(Lease):
    """A replica with a clock that only the test moves."""

    def __init__(self, name: str, identity: str) -> None:
        self.now = 1000.0
        self.led = 0
        super().__init__(NAMESPACE, name, identity, clock=lambda: self.now)

    def _count(self) -> None:
        self.led += 1

    async def tries(self, client: Client) -> bool:
        """Try once, and return whether it may write afterwards."""
        await self._attempt(client, self._count)
        return self.held()


Play = Callable[[Client, Candidate, Candidate], Awaitable[None]]


@pytest.fixture
def play(cluster: Cluster) -> Callable[[Play], None]:
    async def play(scene: Play) -> None:
        configuration = Configuration()
        await config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
        client = Client(configuration)
        name = f"election-{secrets.token_hex(3)}"
        try:
            await scene(client, Candidate(name, "a"), Candidate(name, "b"))
        finally:
            await client.close()

    return lambda scene: asyncio.run(play(scene))


async def named(client: Client, one: Candidate) -> tuple[str, str]:
    """Return the holders in the Lease and in the LeaderFence."""
    _, _, name = one._path.partition("/")
    found: list[dict[str, Any]] = [await client.get(kind, NAMESPACE, name) for kind in (LEASE, LEADER_FENCE)]
    return found[0]["spec"]["holderIdentity"], found[1]["spec"]["holderIdentity"]


def test_the_holder_stops_before_another_candidate_may_take_the_lease(play: Callable[[Play], None]) -> None:
    async def scene(client: Client, a: Candidate, b: Candidate) -> None:
        assert await a.tries(client)
        assert not await b.tries(client)
        a.now += DEADLINE
        assert not a.held()
        b.now += DURATION
        assert not await b.tries(client)
        b.now += 0.1
        assert await b.tries(client)
        assert await named(client, b) == ("b", "b")
        assert not await a.tries(client)
        assert (a.led, b.led) == (1, 1)

    play(scene)


def test_renewals_keep_the_lease(play: Callable[[Play], None]) -> None:
    async def scene(client: Client, a: Candidate, b: Candidate) -> None:
        for _ in range(5):
            assert await a.tries(client)
            assert not await b.tries(client)
            a.now += DEADLINE - 1
            b.now += DURATION - 1
        assert a.led == 1

    play(scene)


def test_after_a_failed_request_the_holder_reads_the_lease_and_keeps_its_term(
    play: Callable[[Play], None],
) -> None:
    async def scene(client: Client, a: Candidate, b: Candidate) -> None:
        assert await a.tries(client)
        update = client.update

        async def fails(kind: Any, manifest: Any) -> Any:
            del kind, manifest
            client.update = update  # type: ignore[method-assign]
            raise ApiError(0, "Unreachable", "no answer")

        client.update = fails  # type: ignore[method-assign]
        with pytest.raises(ApiError):
            await a.tries(client)
        a._lease = {}  # as `run` does then
        assert await a.tries(client)
        assert not await b.tries(client)
        assert a.led == 1

    play(scene)


@pytest.mark.parametrize("reads_first", [False, True], ids=["renewal", "after a failed request"])
def test_leadership_starts_again_if_the_lease_expires_during_its_renewal(
    play: Callable[[Play], None],
    reads_first: bool,  # noqa: FBT001
) -> None:
    async def scene(client: Client, a: Candidate, b: Candidate) -> None:
        del b
        assert await a.tries(client)
        a.now += DEADLINE - 1
        if reads_first:
            a._lease = {}  # as `run` does after a failed request
        update = client.update

        async def takes_long(kind: Any, manifest: Any) -> Any:
            a.now += 2
            assert not a.held()  # the operator skips changes now
            client.update = update  # type: ignore[method-assign]
            return await update(kind, manifest)

        client.update = takes_long  # type: ignore[method-assign]
        assert await a.tries(client)
        assert a.led == 2

    play(scene)


def test_a_released_lease_is_free_immediately(play: Callable[[Play], None]) -> None:
    async def scene(client: Client, a: Candidate, b: Candidate) -> None:
        assert await a.tries(client)
        assert not await b.tries(client)
        await a.release(client)
        assert not a.held()
        assert await b.tries(client)
        assert await named(client, b) == ("b", "b")

    play(scene)


def test_a_candidate_suspended_between_lease_and_fence_does_not_write_the_fence(play: Callable[[Play], None]) -> None:
    async def scene(client: Client, a: Candidate, b: Candidate) -> None:
        assert await b.tries(client)  # creates the LeaderFence
        await b.release(client)
        update = client.update

        async def frozen(kind: Any, manifest: Any) -> Any:
            if kind is LEADER_FENCE:
                client.update = update  # type: ignore[method-assign]
                assert not await b.tries(client)
                b.now += DURATION + 1
                assert await b.tries(client)
            return await update(kind, manifest)

        _, _, name = a._path.partition("/")
        await update(LEADER_FENCE, {**await client.get(LEADER_FENCE, NAMESPACE, name), "spec": {"holderIdentity": "c"}})
        client.update = frozen  # type: ignore[method-assign]
        with pytest.raises(ApiError) as refused:
            await a.tries(client)
        assert refused.value.status == 409
        assert not a.held()
        assert a.led == 0
        assert await named(client, b) == ("b", "b")
        assert not await a.tries(client)

    play(scene)
