"""Leader election by a Lease: only the holder writes. A `LeaderFence` names the holder to the API server.

A candidate reads the LeaderFence before it takes a free Lease. Afterwards it replaces the LeaderFence, but only if it
is unchanged. If a later holder has changed it, the API server rejects a delayed replacement by an earlier holder.

Times are durations on this machine's monotonic clock, so clocks need not agree. A candidate takes the Lease after it
has seen no renewal for `DURATION`. The holder stops `DEADLINE` after it *sent* the last successful renewal, which is
earlier, however long a request hangs.

The holder's pod owns the Lease. An uninstall removes the permissions before the pod can release the Lease. Then the
garbage collector deletes the Lease, and no candidate waits for its expiry. See docs/design/0009.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import LEADER_FENCE, LEASE, Kind
from metricat_operator.cluster.other_operators import holder_claims
from metricat_operator.cluster.outage import Outage
from metricat_operator.facts.model import Manifest
from metricat_operator.naming import CLAIMS_ANNOTATION

log = structlog.get_logger(__name__)

DURATION = 12
DEADLINE = 10.0
_RENEW_INTERVAL = 3.0
_CHECK_INTERVAL = 1.0
_TIMEOUT = 3.0


def _nothing() -> None:
    """Do nothing."""


class Lease:
    """This process as a candidate or as the holder of the Lease."""

    def __init__(
        self, namespace: str, name: str, identity: str, uid: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._namespace, self._name = namespace, name
        self._identity, self._uid = identity, uid
        self._clock = clock
        self._until = float("-inf")
        self._lease: Manifest = {}
        self._changed = clock()
        self._outage = Outage(f"read or write the Lease {self._path}", clock)

    def trouble(self, seconds: float) -> str:
        """Return the error if all requests for the Lease have failed for `seconds`, otherwise an empty text."""
        return self._outage.lasting(seconds)

    def held(self) -> bool:
        """Return whether this process may write now."""
        return self._clock() < self._until

    def lost(self) -> None:
        """Stop writing until a renewal succeeds: the API server reports another holder."""
        self._until = float("-inf")

    async def run(self, client: Client, gained: Callable[[], None] = _nothing) -> None:
        """Take the Lease when it is free and renew it, until cancelled. Call `gained` at each start of leadership."""
        led = False
        while True:
            delay = random.uniform(_CHECK_INTERVAL / 2, _CHECK_INTERVAL)  # noqa: S311 (jitter, not a secret)
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await self._attempt(client, gained)
                delay = _RENEW_INTERVAL if self.held() else delay
                self._outage.ended()
            except (ApiError, TimeoutError) as error:
                self._failed(str(error) or "no response", getattr(error, "status", 0))
            except Exception as error:
                # An unexpected error must not end the election.
                if not self._outage.failures:
                    log.exception("cannot renew or take the Lease; reading it again")
                self._failed(f"{type(error).__name__}: {error}", 0)
            if led and not self.held():
                log.warning("lost leadership", lease=self._path, identity=self._identity)
            led = self.held()
            await asyncio.sleep(delay)

    async def release(self, client: Client) -> None:
        """Release the Lease, so that another replica need not wait for its expiry. Call it after the last write."""
        if not self.held():
            return
        self.lost()
        try:
            async with asyncio.timeout(_TIMEOUT):
                self._lease = await _find(client, LEASE, self._namespace, self._name)
                if _holder(self._lease) != self._identity:
                    return
                spec = {"leaseDurationSeconds": 1, "leaseTransitions": self._transitions}
                await client.update(LEASE, {**self._lease_manifest(), "spec": spec})
        except (ApiError, TimeoutError) as error:
            log.warning("cannot release the Lease; it expires automatically", lease=self._path, error=str(error))
        else:
            log.info("released the Lease", lease=self._path, identity=self._identity)

    def _failed(self, error: str, status: int) -> None:
        if self.held():
            self._lease = {}  # read before the next attempt: another replica may have written it
        self._outage.failed(error, status=status)

    async def _attempt(self, client: Client, gained: Callable[[], None]) -> None:
        """Renew a held Lease with one request; otherwise read it and take it if it is free."""
        if self.held() and self._lease:
            self._lead(await self._write_lease(client), gained)
            return
        self._observe(await _find(client, LEASE, self._namespace, self._name))
        if not self._free():
            self.lost()
            return
        fence = await _find(client, LEADER_FENCE, self._namespace, self._name)
        until = await self._write_lease(client)
        if _holder(fence) != self._identity or not holder_claims(fence):
            await _write(client, LEADER_FENCE, self._fence_manifest(fence))
        self._lead(until, gained)

    def _lead(self, until: float, gained: Callable[[], None]) -> None:
        """Hold the Lease until a time. If this process did not hold it any more, a new leadership starts.

        The Lease may have expired while its renewal was on the way. Changes that came since then were not handled.
        """
        led = self.held()
        self._until = until
        if not led:
            log.info("became leader", lease=self._path, identity=self._identity)
            gained()

    async def _write_lease(self, client: Client) -> float:
        """Write the Lease and return until when it is ours, by our clock."""
        sent = self._clock()
        self._lease = await _write(client, LEASE, self._lease_manifest())
        return sent + DEADLINE

    def _observe(self, found: Manifest) -> None:
        if found.get("spec") != self._lease.get("spec"):
            self._changed = self._clock()
        self._lease = found

    def _free(self) -> bool:
        if _holder(self._lease) in {"", self._identity}:
            return True
        return self._clock() - self._changed > (self._spec.get("leaseDurationSeconds") or DURATION)

    def _lease_manifest(self) -> Manifest:
        ours = _holder(self._lease) == self._identity
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION,
            "acquireTime": self._spec.get("acquireTime", now) if ours else now,
            "renewTime": now,
            "leaseTransitions": self._transitions + (0 if ours or not self._lease else 1),
        }
        claim = self._manifest(self._lease, LEASE, spec)
        if self._uid:
            pod = {"apiVersion": "v1", "kind": "Pod", "name": self._identity, "uid": self._uid}
            claim["metadata"]["ownerReferences"] = [pod]
        return claim

    def _fence_manifest(self, found: Manifest) -> Manifest:
        fence = self._manifest(found, LEADER_FENCE, {"holderIdentity": self._identity})
        annotations = fence["metadata"].get("annotations") or {}
        fence["metadata"]["annotations"] = {**annotations, CLAIMS_ANNOTATION: self._identity}
        return fence

    def _manifest(self, found: Manifest, kind: Kind, spec: Manifest) -> Manifest:
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
    """Return the object, or an empty one if it does not exist."""
    try:
        return await client.get(kind, namespace, name)
    except ApiError as error:
        if error.status != 404:
            raise
        return {}


async def _write(client: Client, kind: Kind, manifest: Manifest) -> Manifest:
    """Replace the object if it is unchanged since it was read; create it if it did not exist."""
    known = "resourceVersion" in manifest["metadata"]
    return await (client.update(kind, manifest) if known else client.create(kind, manifest))
