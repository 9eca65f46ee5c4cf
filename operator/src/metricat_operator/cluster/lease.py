"""Which replica writes: the one that holds a Lease. The API server fences the others by the same object.

Times are durations on this machine's own monotonic clock, so clocks need not agree. A candidate takes the Lease when it
has seen no renewal for `DURATION`; the holder stops `DEADLINE` after it *sent* the last renewal that was answered: that
is earlier, however long a request hangs.
"""

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from metricat_operator.cluster.client import ApiError, Client
from metricat_operator.cluster.kinds import LEASE
from metricat_operator.observed import Manifest

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

    def __init__(self, namespace: str, name: str, identity: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._namespace, self._name = namespace, name
        self._identity = identity
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
                self._lease = await client.get(LEASE, self._namespace, self._name)
                if self._holder != self._identity:
                    return
                spec = {"leaseDurationSeconds": 1, "leaseTransitions": self._transitions}
                await client.update(LEASE, {**self._claim(), "spec": spec})
        except (ApiError, TimeoutError) as error:
            log.warning("the Lease could not be released, and ends by itself", lease=self._path, error=str(error))
        else:
            log.info("released the Lease", lease=self._path, identity=self._identity)

    async def _attempt(self, client: Client) -> None:
        """Renew what is held, with one request; else look, and take it where it is free."""
        if not (self.held() and self._lease):
            try:
                self._look(await client.get(LEASE, self._namespace, self._name))
            except ApiError as error:
                if error.status != 404:
                    raise
                self._lease = {}
            if not self._free():
                self.refused()
                return
        sent = self._clock()
        claim = self._claim()
        self._lease = await (client.update(LEASE, claim) if self._lease else client.create(LEASE, claim))
        led = self.held()
        self._until = sent + DEADLINE
        if not led:
            log.info("leads", lease=self._path, identity=self._identity)
            self.gained()

    def _look(self, found: Manifest) -> None:
        if found.get("spec") != self._lease.get("spec"):
            self._changed = self._clock()
        self._lease = found

    def _free(self) -> bool:
        if self._holder in {"", self._identity}:
            return True
        return self._clock() - self._changed > (self._spec.get("leaseDurationSeconds") or DURATION)

    def _claim(self) -> Manifest:
        ours = self._holder == self._identity
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kept = {key: value for key, value in self._lease.get("metadata", {}).items() if key != "managedFields"}
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {"namespace": self._namespace, "name": self._name, **kept},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": DURATION,
                "acquireTime": self._spec.get("acquireTime", now) if ours else now,
                "renewTime": now,
                "leaseTransitions": self._transitions + (0 if ours or not self._lease else 1),
            },
        }

    @property
    def _spec(self) -> Manifest:
        return self._lease.get("spec") or {}

    @property
    def _holder(self) -> str:
        return self._spec.get("holderIdentity") or ""

    @property
    def _transitions(self) -> int:
        return self._spec.get("leaseTransitions") or 0

    @property
    def _path(self) -> str:
        return f"{self._namespace}/{self._name}"
