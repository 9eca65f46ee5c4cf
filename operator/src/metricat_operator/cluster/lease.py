"""Leader election by a Lease: only the holder writes. A `LeaderFence` names the holder to the API server.

A candidate reads the LeaderFence before it takes the Lease. Afterwards it replaces the LeaderFence, but only if it is
unchanged. A later holder has changed it by then, so the API server rejects a delayed write of an earlier holder.

Times are durations on this machine's own monotonic clock, so clocks need not agree. A candidate takes the Lease when it
has seen no renewal for `DURATION`; the holder stops `DEADLINE` after it *sent* the last renewal that was answered: that
is earlier, however long a request hangs.

The Lease belongs to the holder's pod: where that is gone before it could give the Lease back (an uninstall takes its
rights first), the garbage collector takes the Lease along, and nobody waits for its end.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import LEADER_FENCE, LEASE, Kind
from metricat_operator.facts.model import Manifest

log = structlog.get_logger(__name__)

DURATION = 15
DEADLINE = 10.0
_RENEW = 3.0
_LOOK = 2.0
_TIMEOUT = 3.0


def _nothing() -> None:
    """Nobody waits for it."""


class Lease:
    """This process' part in the election. `gained` is called each time that it becomes the holder."""

    def __init__(
        self, namespace: str, name: str, identity: str, uid: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._namespace, self._name = namespace, name
        self._identity, self._uid = identity, uid
        self._clock = clock
        self._until = float("-inf")
        self._lease: Manifest = {}
        self._changed = clock()
        self.gained: Callable[[], None] = _nothing

    def held(self) -> bool:
        """Whether this process may write now."""
        return self._clock() < self._until

    def refused(self) -> None:
        """The API server says that another one holds it: write nothing until a renewal succeeds."""
        self._until = float("-inf")

    async def run(self, client: Client) -> None:
        """Take the Lease when it is free, and keep it; for ever."""
        led = False
        while True:
            delay = random.uniform(_LOOK / 2, _LOOK)  # noqa: S311 (jitter, not a secret)
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await self._attempt(client)
                delay = _RENEW if self.held() else delay
            except (ApiError, TimeoutError) as error:
                if self.held():
                    self._lease = {}  # look before the next try: somebody else may have written it
                log.warning("the Lease cannot be read or written", lease=self._path, error=str(error) or "no answer")
            if led and not self.held():
                log.warning("leads no more", lease=self._path, identity=self._identity)
            led = self.held()
            await asyncio.sleep(delay)

    async def release(self, client: Client) -> None:
        """Give the Lease back, so that another need not wait until it ends. Call it after the last write."""
        if not self.held():
            return
        self.refused()
        try:
            async with asyncio.timeout(_TIMEOUT):
                self._lease = await _find(client, LEASE, self._namespace, self._name)
                if _holder(self._lease) != self._identity:
                    return
                spec = {"leaseDurationSeconds": 1, "leaseTransitions": self._transitions}
                await client.update(LEASE, {**self._claim(), "spec": spec})
        except (ApiError, TimeoutError) as error:
            log.warning("the Lease could not be released, and ends by itself", lease=self._path, error=str(error))
        else:
            log.info("released the Lease", lease=self._path, identity=self._identity)

    async def _attempt(self, client: Client) -> None:
        """Renew what is held, with one request; else look, and take it where it is free."""
        led = self.held()
        if led and self._lease:
            self._until = await self._claimed(client)
            return
        fence = await _find(client, LEADER_FENCE, self._namespace, self._name)
        self._look(await _find(client, LEASE, self._namespace, self._name))
        if not self._free():
            self.refused()
            return
        until = await self._claimed(client)
        if _holder(fence) != self._identity:
            await _write(client, LEADER_FENCE, self._named(fence, LEADER_FENCE, {"holderIdentity": self._identity}))
        self._until = until
        if not led:
            log.info("leads", lease=self._path, identity=self._identity)
            self.gained()

    async def _claimed(self, client: Client) -> float:
        """Until when the Lease is ours, by our clock, for it was just written."""
        sent = self._clock()
        self._lease = await _write(client, LEASE, self._claim())
        return sent + DEADLINE

    def _look(self, found: Manifest) -> None:
        if found.get("spec") != self._lease.get("spec"):
            self._changed = self._clock()
        self._lease = found

    def _free(self) -> bool:
        if _holder(self._lease) in {"", self._identity}:
            return True
        return self._clock() - self._changed > (self._spec.get("leaseDurationSeconds") or DURATION)

    def _claim(self) -> Manifest:
        ours = _holder(self._lease) == self._identity
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION,
            "acquireTime": self._spec.get("acquireTime", now) if ours else now,
            "renewTime": now,
            "leaseTransitions": self._transitions + (0 if ours or not self._lease else 1),
        }
        claim = self._named(self._lease, LEASE, spec)
        if self._uid:
            pod = {"apiVersion": "v1", "kind": "Pod", "name": self._identity, "uid": self._uid}
            claim["metadata"]["ownerReferences"] = [pod]
        return claim

    def _named(self, found: Manifest, kind: Kind, spec: Manifest) -> Manifest:
        kept = {key: value for key, value in found.get("metadata", {}).items() if key != "managedFields"}
        metadata = {"namespace": self._namespace, "name": self._name, **kept}
        return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata, "spec": spec}

    @property
    def _spec(self) -> Manifest:
        return self._lease.get("spec") or {}

    @property
    def _transitions(self) -> int:
        return self._spec.get("leaseTransitions") or 0

    @property
    def _path(self) -> str:
        return f"{self._namespace}/{self._name}"


def _holder(found: Manifest) -> str:
    return (found.get("spec") or {}).get("holderIdentity") or ""


async def _find(client: Client, kind: Kind, namespace: str, name: str) -> Manifest:
    """The object, or an empty one where there is none."""
    try:
        return await client.get(kind, namespace, name)
    except ApiError as error:
        if error.status != 404:
            raise
        return {}


async def _write(client: Client, kind: Kind, manifest: Manifest) -> Manifest:
    """Replace the object if it is still as it was read; make it where there was none."""
    known = "resourceVersion" in manifest["metadata"]
    return await (client.update(kind, manifest) if known else client.create(kind, manifest))
